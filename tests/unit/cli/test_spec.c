/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/spec.h"
#include "cli/text.h"
#include "cm.h"

#include <string.h>

static struct run_opts o;
static struct spec s;
static struct err err;
static const char *const own[] = {"/nowhere/cove", NULL};

static int reset(void **state)
{
	opt_strs_done(&o.env);
	opt_strs_done(&o.mounts);
	spec_done(&s);
	memset(&o, 0, sizeof(o));
	memset(&err, 0, sizeof(err));
	return chdir("/tmp");
}

/* "--" in line is taken out as opt_parse() does. */
static int parse(const char *line, bool run)
{
	static char words[256];
	static char *argv[16];
	int argc = 0, dashdash = -1;

	strncpy(words, line, sizeof(words) - 1);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) {
		if (dashdash < 0 && streq(w, "--"))
			dashdash = argc;
		else
			argv[argc++] = w;
	}
	spec_done(&s);
	return spec_parse(&o, argc, argv, dashdash, run ? own : NULL, &s, &err);
}

static void test_operands(void **state)
{
	assert_int_equal(
		parse("shell /tmp /usr/share:ro -- make -j2", true), 0);
	assert_string_equal(s.template, "shell");
	assert_int_equal(s.n_paths, 2);
	assert_string_equal(s.places[0].host, "/tmp");
	assert_false(s.places[0].ro);
	assert_string_equal(s.places[1].guest, "/usr/share");
	assert_true(s.places[1].ro);
	assert_int_equal(s.argc, 2);
	assert_string_equal(s.argv[1], "-j2");
	assert_false(s.implicit);
}

static void test_nothing(void **state)
{
	assert_int_equal(parse("", true), 0);
	assert_null(s.template);
	assert_true(s.implicit);
	assert_int_equal(s.n_paths, 1);
	assert_string_equal(s.places[0].host, "/tmp");
	assert_int_equal(s.argc, 0);
	assert_int_equal(parse("-- uname -r", true), 0);
	assert_int_equal(s.argc, 2);
	assert_string_equal(s.argv[0], "uname");
	/* create: no path, no host files */
	assert_int_equal(parse("", false), 0);
	assert_int_equal(s.n_places, 0);
	assert_false(s.implicit);
}

static void test_path_only(void **state)
{
	assert_int_equal(parse(".", true), 0);
	assert_null(s.template);
	assert_int_equal(s.n_paths, 1);
	assert_string_equal(s.places[0].host, "/tmp");
}

static void test_system_cwd(void **state)
{
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(parse("-- true", true), 0);
	assert_int_equal(s.n_places, 0);
	assert_int_equal(s.cwd, CWD_SYSTEM);
}

static void test_slips(void **state)
{
	assert_int_equal(parse("shell ls", true), -EUSAGE);
	assert_non_null(strstr(err.text, "./ls"));
	assert_non_null(strstr(err.text, "after --"));
	assert_int_equal(parse("shell /no/such/place", true), -ENOENT);
	o.engine = "xen";
	assert_int_equal(parse("", true), -EUSAGE);
	o.engine = NULL;
	o.name = "Bad Name";
	assert_true(parse("", true) < 0);
}

static void test_mounts(void **state)
{
	opt_strs_add(&o.mounts, "/usr/share:/srv/s:ro");
	assert_int_equal(parse("", true), 0);
	assert_int_equal(s.n_places, 2);
	assert_int_equal(s.n_paths, 1);
	assert_string_equal(s.places[1].guest, "/srv/s");
	opt_strs_add(&o.mounts, "/tmp:/srv/s");
	assert_true(parse("", true) < 0);
	assert_non_null(strstr(err.text, "/srv/s"));
}

static void test_env(void **state)
{
	static const char *const bad[] = {
		"", "=x", "1A=x", "A-B=x", "a b=c", "COVE_TEST_UNSET"};
	char *got;

	setenv("COVE_TEST_SET", "va lue", 1);
	unsetenv("COVE_TEST_UNSET");
	assert_int_equal(env_parse("COVE_TEST_SET", &got, &err), 0);
	assert_string_equal(got, "COVE_TEST_SET=va lue");
	free(got);
	assert_int_equal(env_parse("A=b=c", &got, &err), 0);
	assert_string_equal(got, "A=b=c");
	free(got);
	assert_int_equal(env_parse("A=", &got, &err), 0);
	free(got);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(env_parse(bad[i], &got, &err), -EUSAGE);
}

static void test_not_utf8(void **state)
{
	opt_strs_add(&o.env, "A=\xff");
	assert_true(parse("", true) < 0);
	assert_non_null(strstr(err.text, "UTF-8"));
}

static void test_json(void **state)
{
	opt_strs_add(&o.env, "K=V=W");
	o.cpus = 2;
	o.memory = 1ull << 30;
	o.engine = "qemu";
	o.remove = true;
	assert_int_equal(parse("/tmp:ro", true), 0);
	json_t *j = spec_json(&s, &o, "my-name");
	json_t *want = json_loads(
		"{\"name\":\"my-name\",\"template\":\"shell\",\"workspaces\":"
		"[{\"host\":\"/tmp\",\"guest\":\"/tmp\",\"read_only\":true}],"
		"\"cpus\":2,\"memory\":1073741824,\"engine\":\"qemu\","
		"\"remove\":true,\"env\":{\"K\":\"V=W\"}}",
		0, NULL);

	assert_non_null(want);
	assert_true(json_equal(j, want));
	json_decref(want);
	json_decref(j);
}

static json_t *sandbox(void)
{
	json_t *sb = json_loads(
		"{\"name\":\"box\",\"template\":\"shell\",\"workspaces\":"
		"[{\"host\":\"/tmp\",\"guest\":\"/tmp\",\"read_only\":false}],"
		"\"cpus\":2,\"memory\":1073741824}",
		0, NULL);

	assert_non_null(sb);
	return sb;
}

static void test_match(void **state)
{
	json_t *sb = sandbox();

	assert_int_equal(parse("shell /tmp", true), 0);
	assert_int_equal(spec_match(&s, &o, sb, &err), 0);
	o.cpus = 2;
	assert_int_equal(spec_match(&s, &o, sb, &err), 0);
	o.cpus = 3;
	assert_int_equal(spec_match(&s, &o, sb, &err), -EEXIST);
	assert_non_null(strstr(err.text, "CPUs"));
	o.cpus = 0;
	assert_int_equal(parse("other /tmp", true), 0);
	assert_int_equal(spec_match(&s, &o, sb, &err), -EEXIST);
	assert_non_null(strstr(err.text, "'other'"));
	assert_int_equal(parse("/tmp:ro", true), 0);
	assert_int_equal(spec_match(&s, &o, sb, &err), -EEXIST);
	assert_int_equal(parse("/tmp /usr/share", true), 0);
	assert_int_equal(spec_match(&s, &o, sb, &err), -EEXIST);
	/* By name from another directory: the current one was not asked for. */
	assert_int_equal(chdir("/usr/share"), 0);
	assert_int_equal(parse("", true), 0);
	assert_int_equal(spec_match(&s, &o, sb, &err), 0);
	json_decref(sb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_operands, reset, reset),
		cmocka_unit_test_setup_teardown(test_nothing, reset, reset),
		cmocka_unit_test_setup_teardown(test_path_only, reset, reset),
		cmocka_unit_test_setup_teardown(test_system_cwd, reset, reset),
		cmocka_unit_test_setup_teardown(test_slips, reset, reset),
		cmocka_unit_test_setup_teardown(test_mounts, reset, reset),
		cmocka_unit_test_setup_teardown(test_env, reset, reset),
		cmocka_unit_test_setup_teardown(test_not_utf8, reset, reset),
		cmocka_unit_test_setup_teardown(test_json, reset, reset),
		cmocka_unit_test_setup_teardown(test_match, reset, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
