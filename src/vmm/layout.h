/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout - the guest's physical address map, its I/O ports and its interrupt
 * numbers, in one place. The ACPI tables (acpi.c) tell the guest the same.
 */
#ifndef VMM_LAYOUT_H
#define VMM_LAYOUT_H

#include "base/util.h"

#define PAGE 4096ull

/* What boot.c leaves in low memory; the kernel reclaims all of it. */
#define GPA_GDT 0x500ull
#define GPA_START_INFO 0x6000ull  /* PVH: start_info, module, memory map */
#define GPA_ZERO_PAGE 0x7000ull   /* Linux boot_params */
#define GPA_SETUP_DATA 0x8000ull  /* Linux setup_data: a seed */
#define GPA_PAGE_TABLES 0x9000ull /* 6 pages: 4 GiB mapped one to one */
#define GPA_CMDLINE 0x20000ull
#define CMDLINE_MAX 2048u

#define GPA_EBDA 0x9fc00ull /* reserved from here to 1 MiB */
#define GPA_ACPI 0xe0000ull /* RSDP first, the tables after it */
#define ACPI_MAX 0x10000u
#define GPA_MIB 0x100000ull

#define GPA_LOW_END 0xc0000000ull /* RAM ends here and goes on at 4 GiB */
#define GPA_HIGH 0x100000000ull
#define GPA_HIGH_MAX 0x8000000000ull /* 512 GiB */

#define GPA_VIRTIO 0xd0000000ull /* one page per virtio-mmio device */
#define GPA_IOAPIC 0xfec00000ull
#define GPA_LAPIC 0xfee00000ull
#define GPA_IDENTITY_MAP 0xfffbc000ull /* Intel: for real mode */
#define GPA_TSS 0xfffbd000ull          /* Intel: three pages */

#define PORT_UART 0x3f8u
#define PORT_PCI 0xcf8u
#define PORT_POWER 0x600u /* sleep control, sleep status, reset; see power.h */

#define GSI_UART 4u
#define GSI_VIRTIO 5u /* device n raises GSI 5 + n, edge triggered */
#define GSI_LIMIT 24u /* pins of KVM's IOAPIC */

#define VIRTIO_MAX (GSI_LIMIT - GSI_VIRTIO)
#define VCPU_MAX 64u

#endif
