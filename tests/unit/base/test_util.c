/* SPDX-License-Identifier: Apache-2.0 */
#include "base/util.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void test_closep_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int copy = fd, closed = -1;

	assert_true(fd >= 0);
	errno = ENOTTY;
	closep(&fd);
	closep(&closed);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static char *give_away(void)
{
	_cleanup_free_ char *s = xstrdup("mine");

	return TAKE_PTR(s);
}

static void test_take(void **state)
{
	_cleanup_free_ char *s = give_away();
	int fd = 7;

	assert_string_equal(s, "mine");
	assert_int_equal(TAKE_FD(fd), 7);
	assert_int_equal(fd, -1);
}

static void test_checked_arithmetic(void **state)
{
	uint32_t u;
	size_t z;

	assert_true(add_ok(UINT32_MAX, 0u, &u));
	assert_int_equal(u, UINT32_MAX);
	assert_false(add_ok(UINT32_MAX, 1u, &u));
	assert_true(mul_ok((size_t)3, (size_t)5, &z));
	assert_int_equal(z, 15);
	assert_false(mul_ok(SIZE_MAX, (size_t)2, &z));
}

static void test_alloc(void **state)
{
	_cleanup_free_ uint8_t *p = xcalloc(0, 10);
	_cleanup_free_ uint8_t *q = xrealloc(NULL, 3, 2);
	_cleanup_free_ uint8_t *zeroed = xcalloc(4, 4);
	static const uint8_t zero[16];

	assert_non_null(p);
	assert_non_null(q);
	assert_memory_equal(zeroed, zero, 16);
}

static void test_strings(void **state)
{
	_cleanup_free_ char *cut = xstrndup("abcdef", 3);
	_cleanup_free_ char *whole = xstrndup("ab", 10);
	_cleanup_free_ char *fmt = xasprintf("%s-%d", "x", 7);
	/* No NUL within reach of strndup's length. */
	const char raw[2] = {'h', 'i'};
	_cleanup_free_ char *bytes = xstrndup(raw, sizeof(raw));

	assert_string_equal(cut, "abc");
	assert_string_equal(whole, "ab");
	assert_string_equal(fmt, "x-7");
	assert_string_equal(bytes, "hi");
	assert_true(streq("a", "a"));
	assert_false(streq("a", "ab"));
}

static void test_clocks(void **state)
{
	uint64_t a = now_ms(), b = now_ms();

	assert_true(b >= a);
	/* 2020-01-01, in nanoseconds */
	assert_true(now_real_ns() > 1577836800ull * 1000000000);
}

struct outer {
	int before;
	int member;
};

static void test_container_of(void **state)
{
	struct outer o;

	assert_ptr_equal(container_of(&o.member, struct outer, member), &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closep_keeps_errno),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_checked_arithmetic),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_container_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
