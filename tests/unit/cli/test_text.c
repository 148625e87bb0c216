/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"
#include "cm.h"

#include <string.h>

static void safe(const char *in, const char *want)
{
	char *out = text_safe(in);

	assert_string_equal(out, want);
	free(out);
}

static void test_safe(void **state)
{
	safe("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7",
		"plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x90\xa7");
	safe("\033[2Jx", "?[2Jx");
	safe("a\nb\tc\rd\x7f"
	     "e",
		"a?b?c?d?e");
	safe("\xc2\x9b"
	     "31m",
		"?31m"); /* C1: CSI as UTF-8 */
	safe("\xe2\x80\xae"
	     "evil",
		"?evil"); /* right-to-left override */
	safe("\xff\xfe", "??");
	safe("\xc0\xaf", "??");           /* overlong slash */
	safe("\xe0\x80\xaf", "???");      /* overlong slash, three bytes */
	safe("\xed\xa0\x80", "???");      /* surrogate */
	safe("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
	safe("cut \xe2\x82", "cut ??");
	safe("", "");
}

static void test_safe_lines(void **state)
{
	char *out = text_safe_lines("a\n\tb\033c\0d", 8);

	assert_string_equal(out, "a\n\tb?c?d");
	free(out);
}

static void shell(const char *in, const char *want)
{
	char *out = text_shell(in);

	assert_string_equal(out, want);
	free(out);
}

static void test_shell(void **state)
{
	shell("plain-1.2/x", "plain-1.2/x");
	shell("", "''");
	shell("a b", "'a b'");
	shell("it's", "'it'\\''s'");
	shell("$(x)", "'$(x)'");
}

static void test_time(void **state)
{
	assert_int_equal(text_time("1970-01-01T00:01:00Z"), 60);
	assert_int_equal(text_time("1970-01-01T00:01:00.123Z"), 60);
	assert_int_equal(text_time("2024-02-29T12:00:00Z"), 1709208000);
	assert_int_equal(text_time("yesterday"), -1);
	assert_int_equal(text_time(""), -1);
	assert_int_equal(text_time("1970-01-01T00:01:00"), -1);
}

static void ago(int64_t now, const char *want)
{
	char *out = text_ago("1970-01-01T00:00:00Z", now);

	assert_string_equal(out, want);
	free(out);
}

static void test_ago(void **state)
{
	ago(0, "just now");
	ago(1, "1 second ago");
	ago(59, "59 seconds ago");
	ago(60, "1 minute ago");
	ago(7200, "2 hours ago");
	ago(86400 * 3, "3 days ago");
	ago(-5, "just now"); /* a clock that went back */
}

static void test_json_members(void **state)
{
	json_t *o = json_pack(
		"{s:s, s:i, s:i, s:n}", "s", "x", "n", 7, "m", -1, "z");

	assert_string_equal(jstr(o, "s"), "x");
	assert_string_equal(jstr(o, "n"), "");
	assert_string_equal(jstr(o, "nothing"), "");
	assert_string_equal(jstr(NULL, "s"), "");
	assert_int_equal(ju64(o, "n"), 7);
	assert_int_equal(ju64(o, "m"), 0);
	assert_int_equal(ju64(o, "z"), 0);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_safe),
		cmocka_unit_test(test_safe_lines),
		cmocka_unit_test(test_shell),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_ago),
		cmocka_unit_test(test_json_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
