/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void test_put_and_consume(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	assert_int_equal(buf_len(&b), 0);
	assert_non_null(buf_head(&b));
	assert_int_equal(buf_put(&b, "hello ", 6), 0);
	assert_int_equal(buf_putf(&b, "%s %d", "world", 7), 0);
	assert_int_equal(buf_len(&b), 13);
	assert_memory_equal(buf_head(&b), "hello world 7", 13);
	buf_consume(&b, 6);
	assert_memory_equal(buf_head(&b), "world 7", 7);
	buf_clear(&b);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
	buf_done(&b); /* twice is harmless */
}

static void test_max_refuses_and_changes_nothing(void **state)
{
	struct buf b;

	buf_init(&b, 8);
	assert_int_equal(buf_put(&b, "12345678", 8), 0);
	assert_int_equal(buf_put(&b, "9", 1), -ENOBUFS);
	assert_int_equal(buf_putf(&b, "9"), -ENOBUFS);
	assert_null(buf_reserve(&b, 1));
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_memory_equal(buf_head(&b), "12345678", 8);
	assert_int_equal(buf_len(&b), 8);
	/* What is consumed makes room at once. */
	buf_consume(&b, 3);
	assert_int_equal(buf_put(&b, "abc", 3), 0);
	assert_memory_equal(buf_head(&b), "45678abc", 8);
	buf_done(&b);
}

static void test_nothing_fits_into_zero(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(buf_put(&b, "x", 1), -ENOBUFS);
	assert_int_equal(buf_put(&b, NULL, 0), 0);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
}

/*
 * Against a plain model: random puts and consumes keep order and content, and
 * the allocation stays within twice the maximum.
 */
static void test_against_a_counter(void **state)
{
	uint32_t seed = 1, put = 0, taken = 0;
	struct buf b;

	buf_init(&b, 1000);
	for (int round = 0; round < 20000; round++) {
		uint8_t tmp[300];
		size_t n;

		seed = seed * 1664525 + 1013904223;
		n = seed >> 8 & 0xff;
		if (seed >> 31) {
			for (size_t i = 0; i < n; i++)
				tmp[i] = (uint8_t)(put + i);
			if (buf_put(&b, tmp, n) == 0)
				put += (uint32_t)n;
			else
				assert_true(buf_len(&b) + n > 1000);
		} else {
			n = MIN(n, buf_len(&b));
			for (size_t i = 0; i < n; i++)
				assert_int_equal(
					buf_head(&b)[i], (uint8_t)(taken + i));
			buf_consume(&b, n);
			taken += (uint32_t)n;
		}
		assert_int_equal(buf_len(&b), put - taken);
		assert_true(b.cap <= 2000);
	}
	assert_true(taken > 100000);
	buf_done(&b);
}

static void test_fds(void **state)
{
	struct buf in, out;
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	buf_init(&out, 100);
	buf_init(&in, 4);
	assert_int_equal(buf_write_fd(&out, p[1]), 0);
	assert_int_equal(buf_read_fd(&in, p[0], 10), -EAGAIN);
	buf_put(&out, "abcdef", 6);
	assert_int_equal(buf_write_fd(&out, p[1]), 6);
	assert_int_equal(buf_len(&out), 0);
	/* No more than max, however much is wanted and there. */
	assert_int_equal(buf_read_fd(&in, p[0], 10), 4);
	assert_int_equal(buf_read_fd(&in, p[0], 10), -ENOBUFS);
	assert_memory_equal(buf_head(&in), "abcd", 4);
	buf_consume(&in, 4);
	assert_int_equal(buf_read_fd(&in, p[0], 10), 2);
	close(p[1]);
	assert_int_equal(buf_read_fd(&in, p[0], 10), 0);
	close(p[0]);
	assert_int_equal(buf_read_fd(&in, -1, 10), -EBADF);
	buf_done(&in);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_consume),
		cmocka_unit_test(test_max_refuses_and_changes_nothing),
		cmocka_unit_test(test_nothing_fits_into_zero),
		cmocka_unit_test(test_against_a_counter),
		cmocka_unit_test(test_fds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
