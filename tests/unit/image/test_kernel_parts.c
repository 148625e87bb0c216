/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's file: the same bytes, and holes where they are zero. */
#include "cm.h"

#include "image/kernel_parts.c"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void round_trip(uint8_t *p, size_t len, uint64_t data)
{
	struct blob b = {.p = p, .len = len};
	_cleanup_free_ uint8_t *back = xcalloc(1, len + 1);
	int fd = memfd_create("vmlinux", MFD_CLOEXEC);
	struct err err = {0};
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(write_sparse(fd, &b, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, len);
	assert_int_equal(st.st_blocks * 512, data);
	assert_int_equal(pread(fd, back, len + 1, 0), len);
	assert_memory_equal(back, p, len);
	(void)close(fd);
}

static void test_holes(void **state)
{
	size_t len = 10 * BLOCK + 100;
	_cleanup_free_ uint8_t *p = xcalloc(1, len);

	round_trip(p, len, 0);
	p[0] = 1;             /* at the start */
	p[3 * BLOCK - 1] = 2; /* the last byte of a block */
	p[3 * BLOCK] = 3;     /* the first of the next */
	round_trip(p, len, 3 * BLOCK);
	p[len - 1] = 4; /* the short block at the end */
	round_trip(p, len, 4 * BLOCK);
	memset(p, 5, len);
	round_trip(p, len, 11 * BLOCK);
	round_trip(p, 1, BLOCK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
