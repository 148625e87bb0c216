/* SPDX-License-Identifier: Apache-2.0 */
/* mkelf - the smallest kernels and modules that pass, for tests. */
#ifndef TESTS_MKELF_H
#define TESTS_MKELF_H

#include "image/bzimage.h"

/* An x86-64 executable of one segment that holds text. */
struct blob elf_kernel(const char *text);
/* A bzImage around a payload; version is the boot protocol's. */
struct blob elf_bzimage(const void *payload, size_t len, unsigned int version);
/* A relocatable object whose .modinfo is info[0..len), with a .BTF. */
struct blob elf_module(const void *info, size_t len);

#endif
