/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi - the tables that tell the guest what it runs on: processors, one
 * serial port, the virtio-mmio devices, and how to power off and reset. The
 * hardware-reduced profile (ACPI 6.4, section 4.1): no PIC, no PM timer, no
 * RTC, no i8042, which the kernel would otherwise probe at a great price.
 * Pure: renders into a buffer that is then copied to GPA_ACPI.
 */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include "base/util.h"
#include "vmm/layout.h"

struct acpi_mmio {
	uint32_t base;
	uint32_t len;
	uint32_t gsi;
};

struct acpi_machine {
	unsigned n_cpus;
	const struct acpi_mmio *virtio; /* devices in the order of discovery */
	size_t n_virtio;
};

/*
 * Fills out[0..ACPI_MAX) for the address GPA_ACPI, the RSDP first; returns the
 * number of bytes used.
 */
size_t acpi_build(const struct acpi_machine *m, uint8_t out[ACPI_MAX]);

#endif
