/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

static void test_set(void **state)
{
	struct err e = {0};

	assert_int_equal(err_set(&e, EBUSY, "name %s is taken", "x"), -EBUSY);
	assert_int_equal(e.code, EBUSY);
	assert_string_equal(e.text, "name x is taken");
}

static void test_sys_names_the_error(void **state)
{
	struct err e = {0};

	assert_int_equal(err_sys(&e, ENOENT, "open %s", "f"), -ENOENT);
	assert_string_equal(e.text, "open f: No such file or directory");
}

static void test_wrap_prefixes(void **state)
{
	struct err e = {0};

	err_set(&e, EIO, "inner");
	assert_int_equal(err_wrap(&e, "outer %d", 1), -EIO);
	assert_string_equal(e.text, "outer 1: inner");
	assert_int_equal(err_wrap(&e, "most"), -EIO);
	assert_string_equal(e.text, "most: outer 1: inner");
}

static void test_wrap_of_nothing_is_an_error(void **state)
{
	struct err e = {0};

	assert_int_equal(err_wrap(&e, "outer"), -EIO);
	assert_string_equal(e.text, "outer");
	assert_int_equal(e.code, EIO);
}

static void test_null_is_allowed(void **state)
{
	assert_int_equal(err_set(NULL, EBUSY, "x"), -EBUSY);
	assert_int_equal(err_sys(NULL, EPERM, "x"), -EPERM);
	assert_true(err_wrap(NULL, "x") < 0);
}

static void test_long_texts_are_cut(void **state)
{
	char big[2 * ERR_TEXT_MAX];
	struct err e = {0};

	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, EIO, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_sys(&e, EIO, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	err_wrap(&e, "prefix");
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(e.text, "prefix: aaa", 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_sys_names_the_error),
		cmocka_unit_test(test_wrap_prefixes),
		cmocka_unit_test(test_wrap_of_nothing_is_an_error),
		cmocka_unit_test(test_null_is_allowed),
		cmocka_unit_test(test_long_texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
