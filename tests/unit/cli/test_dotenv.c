/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dotenv.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

static void value_is(const char *text, const char *key, const char *want)
{
	struct dotenv d;
	struct err err = {0};
	const char *got;

	assert_int_equal(dotenv_parse(text, &d, &err), 0);
	got = dotenv_get(&d, key);
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	dotenv_done(&d);
}

static void test_values(void **state)
{
	value_is("A=1\nB=2", "B", "2");
	value_is("A=1\r\n", "A", "1");
	value_is("  export A = b c  # said\n", "A", "b c");
	value_is("export\tA=1", "A", "1");
	value_is("exported=1", "exported", "1");
	value_is("A=x#y", "A", "x#y");
	value_is("A='x # $y \\n'", "A", "x # $y \\n");
	value_is("A=\"x\\n\\\"y\\\" \\$z\" # c", "A", "x\n\"y\" $z");
	value_is("A=\nB=1", "A", "");
	value_is("A= # c", "A", "");
	value_is("A=#c", "A", "#c");
	value_is("# A=1\n\n", "A", NULL);
	value_is("AB=1", "A", NULL);
	value_is("A=1\nA=2", "A", "2");
	value_is("A=b=c", "A", "b=c");
}

static void wrong_at(const char *text, const char *line)
{
	struct dotenv d = {NULL, 0};
	struct err err = {0};

	assert_int_equal(dotenv_parse(text, &d, &err), -EINVAL);
	assert_non_null(strstr(err.text, line));
	assert_null(d.pair);
}

static void test_wrong(void **state)
{
	wrong_at("A", "line 1 ");
	wrong_at("A=1\nB='x\n", "line 2 ");
	wrong_at("A=1\n\n=x", "line 3 ");
	wrong_at("A=\"x\" y", "line 1 ");
	wrong_at("A B=1", "line 1 ");
	wrong_at("A=\"x\\", "line 1 ");
}

static void test_bound(void **state)
{
	char *text = xcalloc(DOTENV_LINES_MAX + 2, 4);
	struct dotenv d = {NULL, 0};
	struct err err = {0};

	for (size_t i = 0; i < DOTENV_LINES_MAX; i++)
		memcpy(text + 4 * i, "A=1\n", 4);
	assert_int_equal(dotenv_parse(text, &d, &err), 0);
	assert_int_equal(d.n, DOTENV_LINES_MAX);
	dotenv_done(&d);
	memcpy(text + 4u * DOTENV_LINES_MAX, "A=1", 3);
	assert_int_equal(dotenv_parse(text, &d, &err), -E2BIG);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
