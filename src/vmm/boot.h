/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot - puts an uncompressed ELF kernel, its initrd and command line into
 * guest memory and says in which state the first vCPU starts. Two protocols:
 * the 64-bit Linux one (Documentation/x86/boot.rst) and PVH
 * (xen/include/public/arch-x86/hvm/start_info.h), which also starts kernels
 * other than Linux.
 *
 * The files are the user's own but not trusted: every offset is checked. Runs
 * once, on the main thread, before any vCPU.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "vmm/acpi.h"
#include "vmm/ram.h"
#include "vmm/vmlinux.h"

enum boot_protocol {
	BOOT_LINUX, /* 64-bit entry; also carries a seed for the random pool */
	BOOT_PVH,   /* 32-bit entry named by an ELF note */
};

struct boot_config {
	const char *cmdline;
	enum boot_protocol protocol;
	struct acpi_machine machine;
};

/* How the first vCPU starts; the others wait to be woken. */
struct boot_entry {
	enum boot_protocol protocol;
	uint64_t rip;
};

/* What was read into memory, and where. */
struct boot_image {
	struct vmlinux kernel;
	uint64_t initrd; /* address and size, 0: none */
	uint64_t initrd_size;
};

/* The long part, which needs nothing but memory. */
int boot_read(int kernel, int initrd, const struct ram *ram,
	struct boot_image *ret, struct err *err);
/* The tables that tell the kernel about its machine. */
int boot_load(const struct boot_config *cfg, const struct ram *ram,
	const struct boot_image *image, struct boot_entry *ret,
	struct err *err);

#endif
