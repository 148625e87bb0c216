/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_elf - what is changed in kernels and modules before a guest has them
 * (ELF-64, System V ABI chapter 4). Input is a file from a package or the user:
 * every offset is checked. Pure.
 */
#ifndef IMAGE_KERNEL_ELF_H
#define IMAGE_KERNEL_ELF_H

#include "base/util.h"

#include <elf.h>

#define ELF_LOADS_MAX 32u /* program headers that cove-vmm takes */

/*
 * The first section of that name that has bytes, which lie in the file; *ret_at
 * is where its header lies.
 */
bool elf_section(const uint8_t *p, size_t len, const char *name,
	Elf64_Shdr *ret, uint64_t *ret_at);
/*
 * Gives tables that a guest seldom or never reads (BTF for BPF, ORC for stack
 * traces; a sixth of what is loaded) segments of their own, marked as read and
 * nothing else: cove-vmm maps such from the file instead of copying them
 * (src/vmm/vmlinux.c), to other loaders they are what they were. p is an ELF
 * that vmlinux_check() accepted, and still is one afterwards; where there are
 * no such tables or no room for more program headers, it stays as it is.
 */
void elf_split_tables(uint8_t *p, size_t len);

#endif
