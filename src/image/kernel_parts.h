/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_parts - from a package or the user's files to the two files a guest
 * boots from: the uncompressed kernel and an archive of its modules. All of
 * the parsing happens here, in the jailed worker; only descriptors are used.
 */
#ifndef IMAGE_KERNEL_PARTS_H
#define IMAGE_KERNEL_PARTS_H

#include "image/kernel_src.h"

#define KERNEL_MODULES_MAX 99u /* of each set: names begin with two digits */

/* What the worker hands over; the parent checks it again. */
struct kernel_parts {
	char version[64];
	uint32_t
		missing; /* modules a guest boots with, neither here nor built in */
	char early[4096]; /* names, one a line */
	char late[8192];
};

/* Writes both files from where the descriptors stand. */
int kernel_parts_make(struct kernel_src *s, int vmlinux_fd, int modules_fd,
	struct kernel_parts *ret, struct err *err);

#endif
