/* SPDX-License-Identifier: Apache-2.0 */
/* The tables, read the way a kernel reads them. */
#include "cm.h"
#include "vmm/acpi.h"
#include "vmm/power.h"
#include "wire/wire.h"

#include <string.h>

static uint8_t image[ACPI_MAX];

static const uint8_t *at(uint64_t gpa)
{
	assert_in_range(gpa, GPA_ACPI, GPA_ACPI + ACPI_MAX - 36);
	return image + (gpa - GPA_ACPI);
}

static void assert_sum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	assert_int_equal(sum, 0);
}

static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt = at(get_le64(image + 24));
	size_t n = (get_le32(xsdt + 4) - 36) / 8;

	assert_memory_equal(xsdt, "XSDT", 4);
	assert_sum(xsdt, get_le32(xsdt + 4));
	for (size_t i = 0; i < n; i++) {
		const uint8_t *t = at(get_le64(xsdt + 36 + 8 * i));
		if (memcmp(t, signature, 4) != 0)
			continue;
		assert_sum(t, get_le32(t + 4));
		return t;
	}
	fail_msg("no table %s", signature);
	return NULL;
}

static size_t build(unsigned n_cpus, size_t n_virtio)
{
	static struct acpi_mmio mmio[VIRTIO_MAX];
	struct acpi_machine m = {n_cpus, mmio, n_virtio};

	for (size_t i = 0; i < n_virtio; i++)
		mmio[i] = (struct acpi_mmio){(uint32_t)(GPA_VIRTIO + i * PAGE),
			4096, (uint32_t)(GSI_VIRTIO + i)};
	return acpi_build(&m, image);
}

static void test_root(void **state)
{
	build(1, 0);
	assert_memory_equal(image, "RSD PTR ", 8);
	assert_sum(image, 20);
	assert_sum(image, 36);
	assert_int_equal(image[15], 2);
}

static void test_fixed_table(void **state)
{
	build(1, 3);
	const uint8_t *f = find("FACP");
	const uint8_t *dsdt = at(get_le64(f + 140));

	assert_int_equal(get_le32(f + 40), get_le64(f + 140));
	assert_memory_equal(dsdt, "DSDT", 4);
	assert_sum(dsdt, get_le32(dsdt + 4));
	/* Hardware-reduced; no i8042 (bit 1), no RTC (bit 5 says so). */
	assert_true(get_le32(f + 112) & 1u << 20);
	assert_false(get_le16(f + 109) & 1u << 1);
	assert_true(get_le16(f + 109) & 1u << 5);
	/* Reset and sleep registers are ports of ours. */
	assert_int_equal(f[116], 1);
	assert_int_equal(get_le64(f + 120), PORT_POWER + POWER_RESET);
	assert_int_equal(f[128], POWER_RESET_VALUE);
	assert_int_equal(get_le64(f + 248), PORT_POWER + POWER_SLEEP_CONTROL);
	assert_int_equal(get_le64(f + 260), PORT_POWER + POWER_SLEEP_STATUS);
}

static void test_processors(void **state)
{
	build(VCPU_MAX, 1);
	const uint8_t *m = find("APIC");
	const uint8_t *p = m + 44, *end = m + get_le32(m + 4);
	unsigned cpus = 0, ioapics = 0;

	assert_int_equal(get_le32(m + 36), GPA_LAPIC);
	for (; p < end; p += p[1]) {
		assert_true(p[1] >= 8);
		if (p[0] == 0)
			assert_int_equal(p[3], cpus++);
		else if (p[0] == 1)
			ioapics += get_le32(p + 4) == GPA_IOAPIC;
	}
	assert_ptr_equal(p, end);
	assert_int_equal(cpus, VCPU_MAX);
	assert_int_equal(ioapics, 1);
}

/* Walks one level of AML packages: each must end where its parent does. */
static const uint8_t *package(
	const uint8_t *p, const uint8_t *limit, const uint8_t **ret_end)
{
	size_t len =
		(size_t)(p[0] & 15) | (size_t)p[1] << 4 | (size_t)p[2] << 12;

	assert_int_equal(p[0] >> 6, 2);
	assert_true(len >= 3 && len <= (size_t)(limit - p));
	*ret_end = p + len;
	return p + 3;
}

static void test_every_device_is_described(void **state)
{
	size_t used = build(2, VIRTIO_MAX);
	const uint8_t *f = find("FACP");
	const uint8_t *d = at(get_le64(f + 140));
	const uint8_t *limit = d + get_le32(d + 4), *end, *dev_end, *p;
	unsigned virtio = 0, uart = 0;

	assert_in_range(used, 1, ACPI_MAX);
	p = d + 36;
	assert_int_equal(*p, 0x10); /* Scope */
	p = package(p + 1, limit, &end);
	assert_memory_equal(p, "\\_SB_", 5);
	for (p += 5; p < end; p = dev_end) {
		assert_int_equal(p[0], 0x5b); /* Device */
		assert_int_equal(p[1], 0x82);
		const uint8_t *name = package(p + 2, end, &dev_end);
		uart += memcmp(name, "COM1", 4) == 0;
		if (memcmp(name, "VR", 2) != 0)
			continue;
		assert_non_null(
			memmem(name, (size_t)(dev_end - name), "LNRO0005", 9));
		uint8_t base[4], gsi[4];
		put_le32(base, (uint32_t)(GPA_VIRTIO + virtio * PAGE));
		put_le32(gsi, GSI_VIRTIO + virtio);
		assert_non_null(
			memmem(name, (size_t)(dev_end - name), base, 4));
		assert_non_null(memmem(name, (size_t)(dev_end - name), gsi, 4));
		virtio++;
	}
	assert_ptr_equal(p, end);
	assert_int_equal(virtio, VIRTIO_MAX);
	assert_int_equal(uart, 1);
	assert_memory_equal(end, "\x08_S5_\x12", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_fixed_table),
		cmocka_unit_test(test_processors),
		cmocka_unit_test(test_every_device_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
