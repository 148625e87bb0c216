/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/acpi.h"

#include "vmm/aml.h"
#include "vmm/power.h"
#include "wire/wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HEADER 36u
#define SPACE_IO 1u

/* FADT: IA-PC boot flags and feature flags (ACPI 6.4, table 5.9 and 5.11) */
#define BOOT_NO_VGA 0x04u
#define BOOT_NO_CMOS_RTC 0x20u
#define FADT_WBINVD (1u << 0)
#define FADT_NO_POWER_BUTTON (1u << 4)
#define FADT_NO_SLEEP_BUTTON (1u << 5)
#define FADT_RESET_REG (1u << 10)
#define FADT_HW_REDUCED (1u << 20)

struct tables {
	uint8_t *p;
	size_t used;
};

static uint8_t *table_begin(
	struct tables *t, const char *signature, uint8_t revision, size_t len)
{
	t->used = (t->used + 15) & ~(size_t)15;
	uint8_t *h = t->p + t->used;
	assert(t->used + len <= ACPI_MAX);

	memcpy(h, signature, 4);
	put_le32(h + 4, (uint32_t)len);
	h[8] = revision;
	memcpy(h + 10, "COVE  ", 6);
	memcpy(h + 16, "COVEVMM ", 8);
	put_le32(h + 24, 1);
	memcpy(h + 28, "COVE", 4);
	put_le32(h + 32, 1);
	return h;
}

static uint8_t checksum(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

/* Returns the table's guest address. */
static uint64_t table_end(struct tables *t, uint8_t *h)
{
	uint32_t len = get_le32(h + 4);
	uint64_t gpa = GPA_ACPI + (uint64_t)(h - t->p);

	h[9] = 0;
	h[9] = checksum(h, len);
	t->used = (size_t)(h - t->p) + len;
	return gpa;
}

/* Generic address structure: an 8-bit port. */
static void put_port(uint8_t *p, uint64_t port)
{
	p[0] = SPACE_IO;
	p[1] = 8;
	p[2] = 0;
	p[3] = 1;
	put_le64(p + 4, port);
}

static uint64_t put_fadt(struct tables *t, uint64_t dsdt)
{
	uint8_t *h = table_begin(t, "FACP", 6, 276);

	put_le32(h + 40, (uint32_t)dsdt);
	put_le16(h + 109, BOOT_NO_VGA | BOOT_NO_CMOS_RTC);
	put_le32(h + 112,
		FADT_WBINVD | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON |
			FADT_RESET_REG | FADT_HW_REDUCED);
	put_port(h + 116, PORT_POWER + POWER_RESET);
	h[128] = POWER_RESET_VALUE;
	h[131] = 4; /* minor revision */
	put_le64(h + 140, dsdt);
	put_port(h + 244, PORT_POWER + POWER_SLEEP_CONTROL);
	put_port(h + 256, PORT_POWER + POWER_SLEEP_STATUS);
	memcpy(h + 268, "COVEVMM ", 8);
	return table_end(t, h);
}

static uint64_t put_madt(struct tables *t, unsigned n_cpus)
{
	size_t len = HEADER + 8 + 12 + (size_t)n_cpus * 8;
	uint8_t *h = table_begin(t, "APIC", 5, len);
	uint8_t *p = h + HEADER;

	put_le32(p, (uint32_t)GPA_LAPIC);
	put_le32(p + 4, 0); /* no 8259 pair */
	p += 8;
	for (unsigned i = 0; i < n_cpus; i++, p += 8) {
		p[0] = 0; /* a local APIC */
		p[1] = 8;
		p[2] = (uint8_t)i;
		p[3] = (uint8_t)i;
		put_le32(p + 4, 1); /* enabled */
	}
	p[0] = 1; /* the IOAPIC */
	p[1] = 12;
	p[2] = 0;
	put_le32(p + 4, (uint32_t)GPA_IOAPIC);
	put_le32(p + 8, 0);
	return table_end(t, h);
}

/* ISA serial port: without its _CRS interrupt 4 would not exist. */
static void put_uart(struct aml *a)
{
	size_t dev = aml_device(a, "COM1");

	aml_name_eisa(a, "_HID", "PNP0501");
	aml_name_int(a, "_UID", 0);
	size_t crs = aml_crs_begin(a);
	aml_crs_io(a, PORT_UART, 8);
	aml_crs_irq(a, GSI_UART);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static void put_virtio(struct aml *a, const struct acpi_mmio *m, size_t n)
{
	char name[5];

	(void)snprintf(name, sizeof(name), "VR%02X", (unsigned)(n & 0xff));
	size_t dev = aml_device(a, name);
	aml_name_str(a, "_HID", "LNRO0005");
	aml_name_int(a, "_UID", (uint32_t)n);
	size_t crs = aml_crs_begin(a);
	aml_crs_mem(a, m->base, m->len);
	aml_crs_irq(a, m->gsi);
	aml_crs_end(a, crs);
	aml_end(a, dev);
}

static uint64_t put_dsdt(struct tables *t, const struct acpi_machine *m)
{
	uint8_t *h = table_begin(t, "DSDT", 6, HEADER);
	size_t room = ACPI_MAX - (size_t)(h - t->p) - HEADER;
	struct aml a = {.p = h + HEADER, .cap = room};
	size_t scope = aml_scope(&a, "\\_SB_");

	put_uart(&a);
	for (size_t i = 0; i < m->n_virtio; i++)
		put_virtio(&a, &m->virtio[i], i);
	aml_end(&a, scope);
	aml_name_sleep(&a, "_S5_", POWER_OFF_TYPE);
	put_le32(h + 4, (uint32_t)(HEADER + a.used));
	return table_end(t, h);
}

static uint64_t put_xsdt(struct tables *t, const uint64_t *gpa, size_t n)
{
	uint8_t *h = table_begin(t, "XSDT", 1, HEADER + 8 * n);

	for (size_t i = 0; i < n; i++)
		put_le64(h + HEADER + 8 * i, gpa[i]);
	return table_end(t, h);
}

static void put_rsdp(uint8_t *p, uint64_t xsdt)
{
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "COVE  ", 6);
	p[15] = 2; /* revision: the XSDT counts */
	put_le32(p + 20, 36);
	put_le64(p + 24, xsdt);
	p[8] = checksum(p, 20);
	p[32] = checksum(p, 36);
}

size_t acpi_build(const struct acpi_machine *m, uint8_t out[ACPI_MAX])
{
	struct tables t = {.p = out, .used = 36};
	uint64_t gpa[2];

	memset(out, 0, ACPI_MAX);
	gpa[0] = put_fadt(&t, put_dsdt(&t, m));
	gpa[1] = put_madt(&t, m->n_cpus);
	put_rsdp(out, put_xsdt(&t, gpa, ARRAY_SIZE(gpa)));
	return t.used;
}
