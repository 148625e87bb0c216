/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deb - finds the kernel and its modules in a Debian package: an ar archive
 * whose member data.tar.* is the tree (deb(5)). The package is hostile; all
 * that leaves it is bounded memory. Runs in the jailed worker.
 */
#ifndef IMAGE_DEB_H
#define IMAGE_DEB_H

#include "image/modules.h"

/* *ret_image is the first boot/vmlinuz-*; the caller frees it. */
int deb_kernel(
	int fd, struct blob *ret_image, struct modules *mods, struct err *err);

#endif
