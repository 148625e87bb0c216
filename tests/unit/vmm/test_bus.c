/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "vmm/bus.h"
#include "vmm/pci.h"
#include "wire/wire.h"

#include <string.h>

struct probe {
	uint64_t off;
	unsigned len;
	unsigned reads;
	unsigned writes;
};

static void probe_read(void *dev, uint64_t off, uint8_t *data, unsigned len)
{
	struct probe *p = dev;

	p->off = off;
	p->len = len;
	p->reads++;
	memset(data, 0x11, len);
}

static void probe_write(
	void *dev, uint64_t off, const uint8_t *data, unsigned len)
{
	struct probe *p = dev;

	p->off = off;
	p->len = len;
	p->writes++;
}

static const struct bus_ops ops = {probe_read, probe_write};

static void test_finds_each_range(void **state)
{
	static struct bus b;
	static struct probe p[BUS_RANGES];

	/* Added in an order that is not sorted. */
	for (unsigned i = 0; i < BUS_RANGES; i++) {
		unsigned k = i * 7 % BUS_RANGES;
		bus_add(&b, 0x1000 + 0x100 * k, 0x10, &ops, &p[k]);
	}
	for (unsigned i = 0; i < BUS_RANGES; i++) {
		uint64_t at = 0x1000 + 0x100 * i;
		assert_ptr_equal(bus_find(&b, at, 1)->dev, &p[i]);
		assert_ptr_equal(bus_find(&b, at + 15, 1)->dev, &p[i]);
		assert_null(bus_find(&b, at + 16, 1));
		assert_null(bus_find(&b, at - 1, 1));
	}
}

static void test_access_stays_inside(void **state)
{
	struct bus b = {.n = 0};
	struct probe p = {0};
	uint8_t data[8];

	bus_add(&b, 0xfffffffffffffff0, 8, &ops, &p);
	bus_read(&b, 0xfffffffffffffff4, data, 4);
	assert_int_equal(p.reads, 1);
	assert_int_equal(p.off, 4);
	bus_read(&b, 0xfffffffffffffff5, data, 4);
	bus_write(&b, 0xfffffffffffffff7, data, 2);
	assert_int_equal(p.reads, 1);
	assert_int_equal(p.writes, 0);
	assert_int_equal(b.n_unclaimed, 2);
}

static void test_nobody_reads_as_ones(void **state)
{
	static const uint8_t ones[8] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct bus b = {.n = 0};
	uint8_t data[8] = {0};

	bus_read(&b, 0, data, 8);
	assert_memory_equal(data, ones, 8);
	bus_write(&b, UINT64_MAX, data, 1);
	assert_int_equal(b.n_unclaimed, 2);
}

static void test_pci_address(void **state)
{
	struct bus b = {.n = 0};
	struct pci pci = {0};
	uint8_t data[4] = {0x78, 0x56, 0x34, 0x92};

	bus_add(&b, 0xcf8, PCI_LEN, &pci_ops, &pci);
	bus_write(&b, 0xcf8, data, 4);
	bus_write(&b, 0xcfb, (const uint8_t[]){1}, 1);
	bus_write(&b, 0xcfc, (const uint8_t[]){1, 2, 3, 4}, 4);
	bus_read(&b, 0xcfc, data, 4);
	assert_int_equal(get_le32(data), 0xffffffff);
	bus_read(&b, 0xcf8, data, 2);
	assert_int_equal(get_le16(data), 0xffff);
	bus_read(&b, 0xcf8, data, 4);
	assert_int_equal(get_le32(data), 0x92345678);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_each_range),
		cmocka_unit_test(test_access_stays_inside),
		cmocka_unit_test(test_nobody_reads_as_ones),
		cmocka_unit_test(test_pci_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
