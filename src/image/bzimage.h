/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage - gets the uncompressed ELF kernel out of a bzImage, or takes an
 * ELF as it is. Input is a file from a package or the user: every offset is
 * checked, the output is bounded. (Documentation/x86/boot.rst: payload_offset
 * and payload_length; protocol 2.08 and newer.) Pure but for memory.
 */
#ifndef IMAGE_BZIMAGE_H
#define IMAGE_BZIMAGE_H

#include "base/err.h"

#define VMLINUX_MAX (256 * MIB)

struct blob {
	uint8_t *p;
	size_t len;
};

static inline void blob_done(struct blob *b)
{
	free(b->p);
	b->p = NULL;
	b->len = 0;
}

/* The ELF, checked by vmlinux_check(); at most max bytes. Caller frees. */
int bzimage_unpack(const uint8_t *p, size_t len, size_t max, struct blob *ret,
	struct err *err);
/* An x86-64 executable whose segments lie inside the file. */
int vmlinux_check(const uint8_t *p, size_t len, struct err *err);
/* "6.1.0-9-cloud-amd64" from the kernel's banner; heap string. */
int vmlinux_version(const uint8_t *p, size_t len, char **ret, struct err *err);
/* gzip, xz or zstd data to memory. Caller frees. */
int blob_decompress(const uint8_t *p, size_t len, size_t max, struct blob *ret,
	struct err *err);

#endif
