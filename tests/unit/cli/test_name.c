/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/name.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

static void test_check(void **state)
{
	static const char *const good[] = {"ab", "a1", "shell-demo", "a.b",
		"0b0e1c6e-1d2f-4c5b-8a9b-0123456789ab",
		"a23456789012345678901234567890123456789012345678901234567890123"};
	static const char *const bad[] = {"", "a", "A", "aB", "a-", "-a", ".a",
		"a.", "a b", "a/b", "..", "a_b", "\xc3\xa4\xc3\xa4", "a\n",
		"a234567890123456789012345678901234567890123456789012345678901234"};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(name_check(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(name_check(bad[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "2 to 63"));
	}
}

static void is_default(const char *template, const char *dir, const char *want)
{
	char *name = name_default(template, dir);

	assert_string_equal(name, want);
	assert_int_equal(name_check(name, NULL), 0);
	free(name);
}

static void test_default(void **state)
{
	is_default("shell", "/home/me/demo", "shell-demo");
	is_default("shell", "/home/me/My Project", "shell-my-project");
	is_default("shell", "/home/me/a.b", "shell-a.b");
	is_default("shell", "/home/me/_x_", "shell-x");
	is_default("shell", "/home/me/...", "shell");
	is_default("shell", "/home/me/\xc3\xa4", "shell");
	is_default("shell", NULL, "shell");
	is_default("shell", "/", "shell");
	is_default("x", NULL, "sandbox");
	is_default("shell",
		"/w/a-name-that-is-much-longer-than-what-a-sandbox-can-be-called-by",
		"shell-a-name-that-is-much-longer-than-what-a-sandbox-can-be-cal");
}

static void test_suffix(void **state)
{
	char *s = name_with_suffix("shell-demo", "2");

	assert_string_equal(s, "shell-demo-2");
	free(s);
	s = name_with_suffix("a23456789012345678901234567890123456789012345678"
			     "901234567890-23",
		"xyz");
	assert_int_equal(strlen(s), 63);
	assert_int_equal(name_check(s, NULL), 0);
	free(s);
}

static void test_numbered(void **state)
{
	assert_true(name_is_numbered("a-b", "a-b"));
	assert_true(name_is_numbered("a-b-2", "a-b"));
	assert_true(name_is_numbered("a-b-10", "a-b"));
	assert_false(name_is_numbered("a-b-", "a-b"));
	assert_false(name_is_numbered("a-b-0", "a-b"));
	assert_false(name_is_numbered("a-b-2x", "a-b"));
	assert_false(name_is_numbered("a-bc", "a-b"));
	assert_false(name_is_numbered("a", "a-b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_suffix),
		cmocka_unit_test(test_numbered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
