/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "daemon/console.h"
#include "daemon/names.h"

#include <string.h>

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10

static void test_names(void **state)
{
	static const char *const good[] = {
		"ab", "a1", "1a", "a-b", "a.b", "a--b", A60 "aaa"};
	static const char *const bad[] = {"", "a", "A", "Ab", "-ab", "ab-",
		".ab", "ab.", "a b", "a/b", "a_b", "a\nb",
		"\xc3\xa4"
		"b",
		A60 "aaaa", "..", "a\x01"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(name_check(good[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (name_check(bad[i], NULL) == 0)
			fail_msg("accepted '%s'", bad[i]);
}

static void test_default_names_are_names(void **state)
{
	static const struct {
		const char *template, *dir;
		unsigned n;
		const char *want;
	} cases[] = {
		{"shell", "/home/me/demo", 1, "shell-demo"},
		{"shell", "/home/me/demo", 2, "shell-demo-2"},
		{"shell", "/home/me/My Project!", 1, "shell-my-project"},
		{"shell", "/", 1, "shell"},
		{"shell", NULL, 1, "shell"},
		{"shell", NULL, 12, "shell-12"},
		{"shell", "/home/me/...", 1, "shell"},
		{"shell", "/x/\xc3\xa4\xc3\xb6", 1, "shell"},
		{"img:v1.2", "/x/a.b", 1, "img-v1.2-a.b"},
		{"shell", "/x/-a-", 1, "shell-a"},
		{"shell", "/x/a", 1, "shell-a"},
		{"", "/", 1, "sandbox"},
	};
	char name[NAME_MAX_LEN + 1];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		name_default(cases[i].template, cases[i].dir, cases[i].n, name);
		assert_string_equal(name, cases[i].want);
		assert_int_equal(name_check(name, NULL), 0);
	}
	/* However long the parts are, and with any number. */
	name_default(A60 A60, "/" A60 A60, 99, name);
	assert_int_equal(name_check(name, NULL), 0);
	assert_string_equal(name + strlen(name) - 3, "-99");
	name_default(A60, "/" A60, 1, name);
	assert_int_equal(name_check(name, NULL), 0);
}

static void test_ids(void **state)
{
	char a[ID_LEN + 1], b[ID_LEN + 1];

	id_make(a);
	id_make(b);
	assert_true(id_is_valid(a));
	assert_int_equal(a[14], '4');
	assert_string_not_equal(a, b);
	assert_false(id_is_valid(""));
	assert_false(id_is_valid("../../../../../../../../../../../etc"));
	a[3] = 'G';
	assert_false(id_is_valid(a));
}

static void test_paths(void **state)
{
	static const char *const good[] = {
		"/", "/a", "/a/b c/\xc3\xa4", "/...", "/.a", "/a..b"};
	static const char *const bad[] = {"", "a", "./a", "/a/", "//", "/a//b",
		"/.", "/..", "/a/../b", "/a/.", "/a\nb", "/a\x7f"};
	char deep[5000];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(path_check(good[i], "path", NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (path_check(bad[i], "path", NULL) == 0)
			fail_msg("accepted '%s'", bad[i]);
	for (size_t i = 0; i < sizeof(deep); i++)
		deep[i] = i % 100 ? 'a' : '/';
	deep[4096] = '\0';
	assert_true(path_check(deep, "path", NULL) < 0);
	deep[4095] = '\0';
	assert_int_equal(path_check(deep, "path", NULL), 0);
	deep[300] = 'a';
	deep[200] = 'a';
	assert_true(path_check(deep, "path", NULL) < 0); /* 299 in one name */
	assert_true(path_below("/a/b", "/a"));
	assert_true(path_below("/a", "/a"));
	assert_true(path_below("/a", "/"));
	assert_false(path_below("/ab", "/a"));
	assert_false(path_below("/a", "/a/b"));
}

static void test_variables_and_templates(void **state)
{
	assert_int_equal(env_name_check("A_b1", NULL), 0);
	assert_true(env_name_check("1A", NULL) < 0);
	assert_true(env_name_check("", NULL) < 0);
	assert_true(env_name_check("A=B", NULL) < 0);
	assert_int_equal(template_name_check("shell", NULL), 0);
	assert_int_equal(template_name_check("shell:v1", NULL), 0);
	assert_int_equal(template_name_check("shell:1", NULL), 0);
	assert_true(template_name_check("shell:", NULL) < 0);
	assert_true(template_name_check("a/b", NULL) < 0);
	assert_true(template_name_check("../names", NULL) < 0);
}

static void test_console_tail_is_harmless(void **state)
{
	static const char text[] = "first\r\n\r\n\x1b[1;31mred\x1b[0m \x07\x9b"
				   "31m\n"
				   "\x1b]0;title\x07last\xff\n\n";
	char out[64];

	console_clean_tail(text, sizeof(text) - 1, 2, out, sizeof(out));
	assert_string_equal(out, "red 31m | 0;titlelast");
	console_clean_tail(text, sizeof(text) - 1, 99, out, sizeof(out));
	assert_string_equal(out, "first | red 31m | 0;titlelast");
	console_clean_tail(text, sizeof(text) - 1, 99, out, 12);
	assert_true(strlen(out) < 12);
	console_clean_tail("", 0, 3, out, sizeof(out));
	assert_string_equal(out, "");
	console_clean_tail("\x1b[", 2, 3, out, sizeof(out));
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_default_names_are_names),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_variables_and_templates),
		cmocka_unit_test(test_console_tail_is_harmless),
	};

	return cmocka_run_group_tests_name("daemon/names", tests, NULL, NULL);
}
