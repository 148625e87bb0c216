/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/find.h"
#include "cli/name.h"
#include "cli/text.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

static json_t *list;
static struct workspace place;
static struct spec spec;
static struct run_opts opts;

static void add(
	const char *name, const char *template, const char *dir, bool remove)
{
	json_array_append_new(list,
		json_pack("{s:s, s:s, s:b, s:[{s:s, s:s, s:b}]}", "name", name,
			"template", template, "remove", remove, "workspaces",
			"host", dir, "guest", dir, "read_only", 0));
}

static int setup(void **state)
{
	place = (struct workspace){
		xstrdup("/home/me/demo"), xstrdup("/home/me/demo"), false};
	spec = (struct spec){.places = &place, .n_places = 1, .n_paths = 1};
	opts = (struct run_opts){0};
	list = json_array();
	return 0;
}

static int teardown(void **state)
{
	workspace_done(&place);
	json_decref(list);
	return 0;
}

static void finds(const char *want)
{
	json_t *sb = NULL;
	char *name = NULL;
	struct err err = {0};

	assert_int_equal(find_in_list(list, &spec, &opts, &sb, &name, &err), 0);
	assert_non_null(sb);
	assert_null(name);
	assert_string_equal(jstr(sb, "name"), want);
	json_decref(sb);
}

static void makes(const char *want)
{
	json_t *sb = NULL;
	char *name = NULL;
	struct err err = {0};

	assert_int_equal(find_in_list(list, &spec, &opts, &sb, &name, &err), 0);
	assert_null(sb);
	assert_string_equal(name, want);
	free(name);
}

static void test_by_directory(void **state)
{
	makes("shell-demo");
	add("shell-demo", "shell", "/home/me/demo", false);
	finds("shell-demo");
	spec.template = "other";
	makes("other-demo");
}

static void test_same_name_elsewhere(void **state)
{
	add("shell-demo", "shell", "/srv/demo", false);
	makes("shell-demo-2");
	add("shell-demo-2", "shell", "/home/me/demo", false);
	finds("shell-demo-2");
}

static void test_own_name_is_not_met(void **state)
{
	add("mine", "shell", "/home/me/demo", false);
	makes("shell-demo");
	opts.name = "mine";
	finds("mine");
	opts.name = "yours";
	makes("yours");
}

static void test_throwaway_is_not_met(void **state)
{
	add("shell-demo", "shell", "/home/me/demo", true);
	makes("shell-demo-2");
}

static void test_other_template_by_name(void **state)
{
	json_t *sb = NULL;
	char *name = NULL;
	struct err err = {0};

	add("mine", "shell", "/home/me/demo", false);
	opts.name = "mine";
	spec.template = "other";
	assert_int_equal(
		find_in_list(list, &spec, &opts, &sb, &name, &err), -EEXIST);
	assert_null(sb);
	assert_null(name);
	assert_non_null(strstr(err.text, "cove rm mine"));
}

static void test_random_name(void **state)
{
	char *a = find_random_name(&spec);
	char *b = find_random_name(&spec);

	assert_int_equal(name_check(a, NULL), 0);
	assert_int_equal(strncmp(a, "shell-demo-", 11), 0);
	assert_int_equal(strlen(a), 15);
	assert_false(name_is_numbered(a, "shell-demo"));
	assert_string_not_equal(a, b);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_by_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_same_name_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_own_name_is_not_met, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_throwaway_is_not_met, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_other_template_by_name, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_random_name, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
