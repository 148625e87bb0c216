/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "daemon/spec.h"

#include <errno.h>
#include <string.h>

static const struct host host = {.cpus = 8, .memory = 16 * GIB};

static int read_text(const char *text, const struct host *h, struct spec *ret,
	struct err *err)
{
	_cleanup_json_ json_t *j = NULL;
	int r = json_read(text, strlen(text), &j, err);

	return r < 0 ? r : spec_read(j, h, ret, err);
}

static void test_defaults_come_from_the_host(void **state)
{
	static const struct {
		struct host host;
		uint32_t cpus;
		uint64_t memory;
	} cases[] = {
		{{.cpus = 8, .memory = 16 * GIB}, 4, 4 * GIB},
		{{.cpus = 1, .memory = 1 * GIB}, 1, 512 * MIB},
		{{.cpus = 500, .memory = 900 * GIB}, 64, 8 * GIB},
		{{.cpus = 3, .memory = 5 * GIB + 12345}, 1, 1280 * MIB},
	};
	struct spec s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(read_text("{}", &cases[i].host, &s, NULL), 0);
		assert_int_equal(s.cpus, cases[i].cpus);
		assert_int_equal(s.memory, cases[i].memory);
		assert_int_equal(s.disk, 20 * GIB);
		assert_int_equal(s.docker_disk, 10 * GIB);
		assert_int_equal(s.pids, SPEC_PIDS_DEFAULT);
		assert_string_equal(s.template, "shell");
		assert_string_equal(s.engine, "auto");
		assert_null(s.name);
		spec_done(&s);
	}
}

static void test_what_is_written_is_read(void **state)
{
	static const char text[] =
		"{\"name\":\"nn\",\"template\":\"t1\",\"engine\":\"qemu\","
		"\"workspaces\":[{\"host\":\"/a\",\"guest\":\"/b\","
		"\"read_only\":true},{\"host\":\"/c\",\"guest\":null}],"
		"\"cpus\":2,\"memory\":1073741825,\"disk\":1073741824,"
		"\"docker_disk\":2147483648,\"pids\":100,"
		"\"timeout_ms\":5000,\"remove\":true,\"env\":{\"K\":\"V\"}}";
	struct spec a, b;
	json_t *ja, *jb;

	assert_int_equal(read_text(text, &host, &a, NULL), 0);
	assert_int_equal(a.memory, GIB); /* whole MiB */
	assert_string_equal(a.workspaces[1].guest, "/c");
	assert_true(a.workspaces[0].read_only);
	assert_true(a.remove);
	ja = spec_json(&a);
	assert_int_equal(spec_read(ja, &host, &b, NULL), 0);
	jb = spec_json(&b);
	assert_true(json_equal(ja, jb));
	json_decref(ja);
	json_decref(jb);
	spec_done(&a);
	spec_done(&b);
}

static void test_shape_is_strict(void **state)
{
	static const char *const bad[] = {
		"[]",
		"\"x\"",
		"{\"x\":1}",
		"{\"name\":[]}",
		"{\"cpus\":true}",
		"{\"cpus\":4294967296}",
		"{\"remove\":1}",
		"{\"remove\":\"yes\"}",
		"{\"memory\":-1}",
		"{\"memory\":1e9}",
		"{\"env\":[]}",
		"{\"env\":{\"\":\"x\"}}",
		"{\"workspaces\":\"/a\"}",
		"{\"workspaces\":[{\"host\":\"\"}]}",
		"{\"workspaces\":[{\"host\":\"/a\",\"ro\":true}]}",
		"{\"workspaces\":[{\"host\":\"/a\",\"read_only\":0}]}",
		"{\"disk\":0}",
		"{\"pids\":0}",
	};
	struct spec s = {0};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		if (read_text(bad[i], &host, &s, &err) >= 0)
			fail_msg("accepted %s", bad[i]);
		assert_int_not_equal(err.code, 0);
		assert_null(s.template);
	}
}

static void test_many(void **state)
{
	json_t *j = json_object(), *ws = json_array(), *env = json_object();
	struct spec s = {0};
	char key[16];

	for (int i = 0; i <= (int)BIRTH_EXPORTS; i++)
		json_array_append_new(ws, json_pack("{s:s}", "host", "/a"));
	json_object_set_new(j, "workspaces", ws);
	assert_int_equal(spec_read(j, &host, &s, NULL), -EINVAL);
	json_object_del(j, "workspaces");
	for (unsigned i = 0; i <= SPEC_ENV_MAX; i++) {
		(void)snprintf(key, sizeof(key), "K%u", i);
		json_object_set_new(env, key, json_string("v"));
	}
	json_object_set_new(j, "env", env);
	assert_int_equal(spec_read(j, &host, &s, NULL), -EINVAL);
	json_decref(j);
}

static void test_json_is_strict(void **state)
{
	static const char *const bad[] = {"", " ", "{", "{}x", "{\"a\":01}",
		"{\"a\":NaN}", "{\"a\":1,\"a\":2}", "{'a':1}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\\ud800\"}", "{\"a\":1,}",
		"\xef\xbb\xbf{}", "nul"};
	json_t *j = NULL;
	char *deep = xcalloc(1, 100001);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (json_read(bad[i], strlen(bad[i]), &j, NULL) >= 0)
			fail_msg("accepted %s", bad[i]);
	memset(deep, '[', 100000);
	assert_true(json_read(deep, 100000, &j, NULL) < 0);
	free(deep);
	assert_int_equal(json_read("{}", JSON_BODY_MAX + 1, &j, NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_come_from_the_host),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_shape_is_strict),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_json_is_strict),
	};

	return cmocka_run_group_tests_name("daemon/spec", tests, NULL, NULL);
}
