/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

struct opts {
	bool interactive, tty;
	const char *user;
	struct opt_strs env;
	uint32_t cpus;
	uint64_t memory, timeout_ms;
};

#define FIELD(f) offsetof(struct opts, f)
static const struct opt table[] = {
	{"interactive", 'i', OPT_FLAG, FIELD(interactive), NULL, "keep stdin"},
	{"tty", 't', OPT_FLAG, FIELD(tty), NULL, "terminal"},
	{"user", 'u', OPT_STR, FIELD(user), "USER", "user"},
	{"env", 'e', OPT_STRS, FIELD(env), "K=V", "variable"},
	{"cpus", 0, OPT_U32, FIELD(cpus), "N", "CPUs", 1, 4},
	{"memory", 'm', OPT_SIZE, FIELD(memory), "SIZE", "memory", 64 * MIB,
		8 * GIB},
	{"timeout", 0, OPT_DURATION, FIELD(timeout_ms), "TIME", "life", 1000,
		0},
};

static struct opts o;
static struct err err;
static int n, dashdash;
static char *args[16];

/* Words in one string, split at blanks. */
static int parse(bool stop, const char *line)
{
	static char words[256];
	int argc = 0;

	opt_strs_done(&o.env);
	memset(&o, 0, sizeof(o));
	memset(&err, 0, sizeof(err));
	n = dashdash = -2;
	strncpy(words, line, sizeof(words) - 1);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		args[argc++] = w;
	return opt_parse(table, ARRAY_SIZE(table), &o, argc, args, stop, &n,
		&dashdash, &err);
}

static int cleanup(void **state)
{
	opt_strs_done(&o.env);
	return 0;
}

static void refuse(const char *line, const char *text)
{
	assert_int_equal(parse(false, line), -EINVAL);
	assert_string_equal(err.text, text);
}

static void test_spellings(void **state)
{
	assert_int_equal(
		parse(false, "-it -u root --env A=1 -eB=2 --cpus=2"), 0);
	assert_true(o.interactive && o.tty);
	assert_string_equal(o.user, "root");
	assert_int_equal(o.env.n, 2);
	assert_string_equal(o.env.v[0], "A=1");
	assert_string_equal(o.env.v[1], "B=2");
	assert_int_equal(o.cpus, 2);
	assert_int_equal(n, 0);
	assert_int_equal(dashdash, -1);
	/* The last letter of a cluster may take the next word or the rest. */
	assert_int_equal(parse(false, "-ituroot"), 0);
	assert_string_equal(o.user, "root");
	assert_int_equal(parse(false, "-itu root"), 0);
	assert_string_equal(o.user, "root");
	/* A value may look like an option or be empty. */
	assert_int_equal(parse(false, "--user --tty"), 0);
	assert_string_equal(o.user, "--tty");
	assert_false(o.tty);
	assert_int_equal(parse(false, "--user="), 0);
	assert_string_equal(o.user, "");
}

static void test_operands_anywhere(void **state)
{
	assert_int_equal(parse(false, "a -i b - --tty c -- -x -- d"), 0);
	assert_true(o.interactive && o.tty);
	assert_int_equal(n, 7);
	assert_int_equal(dashdash, 4);
	assert_string_equal(args[2], "-");
	assert_string_equal(args[4], "-x");
	assert_string_equal(args[5], "--"); /* only the first is removed */
	assert_string_equal(args[6], "d");
	assert_int_equal(parse(false, "--"), 0);
	assert_int_equal(n, 0);
	assert_int_equal(dashdash, 0);
}

static void test_stop_at_operand(void **state)
{
	assert_int_equal(parse(true, "-i name ls -t -- --user"), 0);
	assert_true(o.interactive);
	assert_false(o.tty);
	assert_int_equal(n, 5);
	assert_string_equal(args[2], "-t");
	assert_string_equal(args[3], "--");
	assert_int_equal(dashdash, -1);
	assert_int_equal(parse(true, "-i -- -t"), 0);
	assert_int_equal(n, 1);
	assert_int_equal(dashdash, 0);
}

static void test_refusals(void **state)
{
	refuse("--nope", "unknown option --nope");
	refuse("--nope=3", "unknown option --nope");
	refuse("--use=x", "unknown option --use"); /* no abbreviations */
	refuse("-x", "unknown option -x");
	refuse("-ix", "unknown option -x");
	refuse("-\x1b", "unknown option -?");
	refuse("--tty=1", "--tty takes no value");
	refuse("--user", "--user needs a value (USER)");
	refuse("-iu", "--user needs a value (USER)");
	refuse("--cpus two", "--cpus: 'two' is not a whole number");
	refuse("--cpus -1", "--cpus: '-1' is not a whole number");
	refuse("--cpus 0", "--cpus: '0' is out of range (1 to 4)");
	refuse("--cpus 5", "--cpus: '5' is out of range (1 to 4)");
	refuse("--cpus 4294967297",
		"--cpus: '4294967297' is out of range (1 to 4)");
	refuse("--cpus 99999999999999999999",
		"--cpus: '99999999999999999999' is out of range (1 to 4)");
	refuse("-m 1g5", "--memory: '1g5' is not a size such as 512m or 1.5g");
	refuse("-m 9g", "--memory: '9g' is out of range (64 MiB to 8 GiB)");
	refuse("--timeout 1ms", "--timeout: '1ms' is less than 1000 ms");
	refuse("--timeout 5y",
		"--timeout: '5y' is not a duration such as "
		"500ms, 10s, 5m, 2h or 1d");
}

static void test_numbers(void **state)
{
	assert_int_equal(parse(false, "-m 1.5GiB --timeout 2h --cpus 4"), 0);
	assert_true(o.memory == 1536 * MIB);
	assert_true(o.timeout_ms == 7200000);
	assert_int_equal(o.cpus, 4);
}

static void good_size(const char *s, uint64_t want)
{
	uint64_t v = 1;

	assert_int_equal(parse_size(s, &v, &err), 0);
	assert_true(v == want);
}

static void test_parse_size(void **state)
{
	static const char *const bad[] = {"", " ", "k", "-1", "+1", "1.", ".5",
		"1..5", "1x", "1kk", "0x10", "1 k b", " 1", "1k ", "1e3",
		"1.0000000001k"};
	uint64_t v = 77;

	good_size("0", 0);
	good_size("512", 512);
	good_size("512b", 512);
	good_size("64k", 65536);
	good_size("64K", 65536);
	good_size("64KiB", 65536);
	good_size("64 kb", 65536);
	good_size("2g", 2 * GIB);
	good_size("0.5k", 512);
	good_size("1.999999999k", 2047);
	good_size("16t", 16384 * GIB);
	good_size("18446744073709551615", UINT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_size(bad[i], &v, &err), -EINVAL);
	assert_int_equal(parse_size("18446744073709551616", &v, &err), -ERANGE);
	assert_int_equal(parse_size("16777216t", &v, &err), -ERANGE);
	assert_string_equal(err.text, "'16777216t' is too large");
	assert_int_equal(v, 77); /* written only on success */
}

static void good_duration(const char *s, uint64_t want)
{
	uint64_t v = 1;

	assert_int_equal(parse_duration(s, &v, &err), 0);
	assert_true(v == want);
}

static void test_parse_duration(void **state)
{
	uint64_t v;

	good_duration("500ms", 500);
	good_duration("10s", 10000);
	good_duration("10", 10000);
	good_duration("5m", 300000);
	good_duration("1.5h", 5400000);
	good_duration("1d", 86400000);
	good_duration("0", 0);
	assert_int_equal(parse_duration("1w", &v, &err), -EINVAL);
	assert_int_equal(parse_duration("", &v, &err), -EINVAL);
	assert_int_equal(
		parse_duration("99999999999999999d", &v, &err), -ERANGE);
}

static void test_parse_u64(void **state)
{
	uint64_t v;

	assert_int_equal(parse_u64("18446744073709551615", &v, &err), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("18446744073709551616", &v, &err), -ERANGE);
	assert_int_equal(parse_u64("1k", &v, &err), -EINVAL);
	assert_int_equal(parse_u64("", &v, NULL), -EINVAL);
}

static void shows(uint64_t bytes, const char *want)
{
	char text[32];

	assert_string_equal(format_size(bytes, text, sizeof(text)), want);
}

static void test_format_size(void **state)
{
	shows(0, "0 B");
	shows(1023, "1023 B");
	shows(1024, "1 KiB");
	shows(1536, "1.5 KiB");
	shows(10 * MIB, "10 MiB");
	shows(MIB - 1, "1 MiB");
	shows(GIB - 1, "1 GiB");
	shows(1023 * MIB, "1023 MiB");
	shows(1536 * MIB, "1.5 GiB");
	shows(UINT64_MAX, "16 EiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_spellings, cleanup),
		cmocka_unit_test_teardown(test_operands_anywhere, cleanup),
		cmocka_unit_test_teardown(test_stop_at_operand, cleanup),
		cmocka_unit_test_teardown(test_refusals, cleanup),
		cmocka_unit_test_teardown(test_numbers, cleanup),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_duration),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_format_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
