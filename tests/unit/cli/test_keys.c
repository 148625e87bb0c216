/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/keys.h"
#include "cm.h"

#include <string.h>

static bool detach;

static size_t feed(struct keys *k, const char *typed, uint64_t now)
{
	return keys_feed(
		k, (const uint8_t *)typed, strlen(typed), now, &detach);
}

static struct keys docker_keys(void)
{
	struct keys k;

	assert_int_equal(keys_parse(DETACH_KEYS_DEFAULT, &k, NULL), 0);
	return k;
}

static void test_parse(void **state)
{
	static const char *const bad[] = {"", ",", "ctrl-", "ctrl-1", "ctrl-P",
		"a,", ",a", "ab", "a,b,c,d,e", "ctrl-p ctrl-q", " ", "ctrl-@"};
	struct keys k;
	struct err err = {0};

	k = docker_keys();
	assert_int_equal(k.n, 2);
	assert_int_equal(k.seq[0], 0x10);
	assert_int_equal(k.seq[1], 0x11);
	assert_int_equal(keys_parse("ctrl-],d", &k, &err), 0);
	assert_int_equal(k.seq[0], 0x1d);
	assert_int_equal(k.seq[1], 'd');
	assert_int_equal(keys_parse("none", &k, &err), 0);
	assert_int_equal(k.n, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(keys_parse(bad[i], &k, &err), -EUSAGE);
}

static void test_whole_in_one_read(void **state)
{
	struct keys k = docker_keys();

	assert_int_equal(feed(&k, "ab\x10\x11xy", 0), 3);
	assert_true(detach);
}

/* The first key is passed on at once: nothing typed is held back. */
static void test_split(void **state)
{
	struct keys k = docker_keys();

	assert_int_equal(feed(&k, "\x10", 5), 1);
	assert_false(detach);
	assert_int_equal(feed(&k, "\x11", 5 + DETACH_WINDOW_MS), 0);
	assert_true(detach);
}

static void test_too_late(void **state)
{
	struct keys k = docker_keys();

	assert_int_equal(feed(&k, "\x10", 0), 1);
	assert_int_equal(feed(&k, "\x11", DETACH_WINDOW_MS + 1), 1);
	assert_false(detach);
}

static void test_interrupted(void **state)
{
	struct keys k = docker_keys();

	assert_int_equal(feed(&k, "\x10z\x11", 0), 3);
	assert_false(detach);
	assert_int_equal(feed(&k, "\x11", 0), 1);
	assert_false(detach);
	/* The first key twice: the second one begins anew. */
	assert_int_equal(feed(&k, "\x10\x10\x11", 0), 2);
	assert_true(detach);
}

static void test_none(void **state)
{
	struct keys k;

	assert_int_equal(keys_parse("none", &k, NULL), 0);
	assert_int_equal(feed(&k, "\x10\x11", 0), 2);
	assert_false(detach);
}

static void test_single(void **state)
{
	struct keys k;

	assert_int_equal(keys_parse("ctrl-]", &k, NULL), 0);
	assert_int_equal(feed(&k,
				 "a\x1d"
				 "b",
				 0),
		1);
	assert_true(detach);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_whole_in_one_read),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_too_late),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
