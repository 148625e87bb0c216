/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "virtio/gmem.h"

#include <errno.h>
#include <sys/mman.h>

static uint8_t low[8192], high[4096];

static struct gmem *two_regions(void)
{
	struct gmem *gm = gmem_new();

	assert_int_equal(gmem_add(gm, 0x1000, sizeof(low), low), 0);
	assert_int_equal(gmem_add(gm, 0x100000000, sizeof(high), high), 0);
	return gm;
}

static void test_inside(void **state)
{
	struct gmem *gm = two_regions();

	assert_ptr_equal(gmem_ptr(gm, 0x1000, 1), low);
	assert_ptr_equal(gmem_ptr(gm, 0x1000, sizeof(low)), low);
	assert_ptr_equal(gmem_ptr(gm, 0x1fff, 1), low + 0xfff);
	assert_ptr_equal(gmem_ptr(gm, 0x2fff, 1), low + 8191);
	assert_ptr_equal(gmem_ptr(gm, 0x100000fff, 1), high + 4095);
	gmem_unref(gm);
}

static void test_outside(void **state)
{
	struct gmem *gm = two_regions();

	assert_null(gmem_ptr(gm, 0, 1));
	assert_null(gmem_ptr(gm, 0xfff, 2));
	assert_null(gmem_ptr(gm, 0x3000, 1));
	assert_null(gmem_ptr(gm, 0x2fff, 2));
	assert_null(gmem_ptr(gm, 0x1000, sizeof(low) + 1));
	assert_null(gmem_ptr(gm, 0x1000, 0));
	assert_null(gmem_ptr(gm, 0x1001, UINT64_MAX));
	assert_null(gmem_ptr(gm, UINT64_MAX, 1));
	assert_null(gmem_ptr(gm, UINT64_MAX, UINT64_MAX));
	gmem_unref(gm);
}

/* Neighbours in the guest are not neighbours here. */
static void test_no_range_crosses_regions(void **state)
{
	struct gmem *gm = gmem_new();

	assert_int_equal(gmem_add(gm, 0, 4096, high), 0);
	assert_int_equal(gmem_add(gm, 4096, sizeof(low), low), 0);
	assert_null(gmem_ptr(gm, 4095, 2));
	assert_ptr_equal(gmem_ptr(gm, 4096, 2), low);
	gmem_unref(gm);
}

static void test_add_refuses(void **state)
{
	struct gmem *gm = two_regions();

	assert_int_equal(gmem_add(gm, 0x9000, 0, low), -EINVAL);
	assert_int_equal(gmem_add(gm, 0x2000, 4096, low), -EINVAL);
	assert_int_equal(gmem_add(gm, 0, 0x1001, low), -EINVAL);
	assert_int_equal(gmem_add(gm, UINT64_MAX - 10, 4096, low), -EINVAL);
	for (unsigned i = 2; i < GMEM_REGIONS; i++)
		assert_int_equal(
			gmem_add(gm, 0x200000000 + i * 4096, 4096, low), 0);
	assert_int_equal(gmem_add(gm, 0x300000000, 4096, low), -ENOSPC);
	gmem_unref(gm);
}

static void test_file(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct gmem *gm = gmem_new();
	char *p;

	assert_int_equal(ftruncate(fd, 3 * 4096), 0);
	assert_int_equal(gmem_add_fd(gm, 0, 4096, fd, 3 * 4096), -EINVAL);
	assert_int_equal(gmem_add_fd(gm, 0, 4 * 4096, fd, 0), -EINVAL);
	assert_int_equal(gmem_add_fd(gm, 0, 4096, fd, 100), -EINVAL);
	assert_int_equal(gmem_add_fd(gm, 0, 4096, fd, UINT64_MAX), -EINVAL);
	assert_int_equal(gmem_add_fd(gm, 0, 2 * 4096, fd, 4096), 0);
	p = gmem_ptr(gm, 4096, 4096);
	assert_int_equal(pwrite(fd, "hello", 5, 2 * 4096), 5);
	assert_memory_equal(p, "hello", 5);
	gmem_unref(gm);
	close(fd);
}

/* Whoever still writes to a page keeps it mapped. */
static void test_last_reference_unmaps(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	struct gmem *gm = gmem_new();
	unsigned char vec;
	char *p;

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(gmem_add_fd(gm, 0, 4096, fd, 0), 0);
	p = gmem_ptr(gm, 0, 4096);
	gmem_ref(gm);
	gmem_unref(gm);
	*p = 1;
	assert_int_equal(mincore(p, 4096, &vec), 0);
	gmem_unref(gm);
	assert_int_equal(mincore(p, 4096, &vec), -1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_no_range_crosses_regions),
		cmocka_unit_test(test_add_refuses),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_last_reference_unmaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
