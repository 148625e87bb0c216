/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlinux - loads the segments of an uncompressed x86-64 kernel at their physical
 * addresses. Holes of the file are skipped: guest memory is zero already. The
 * file is not trusted.
 */
#ifndef VMM_VMLINUX_H
#define VMM_VMLINUX_H

#include "vmm/ram.h"

struct vmlinux {
	uint64_t entry;     /* physical address of the ELF entry point */
	uint64_t pvh_entry; /* from the PVH note, 0: none */
	uint64_t end;       /* first guest address after the kernel */
};

int vmlinux_load(
	int fd, const struct ram *ram, struct vmlinux *ret, struct err *err);

#endif
