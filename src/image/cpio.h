/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio - the "newc" archive that Linux unpacks as its initramfs
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Archives may
 * follow each other in one file. Deterministic: no times, owner root.
 */
#ifndef IMAGE_CPIO_H
#define IMAGE_CPIO_H

#include "image/bzimage.h"

struct cpio {
	struct blob out;
	size_t cap;
	uint32_t ino;
};

void cpio_dir(struct cpio *c, const char *name);
/* len < 4 GiB. */
void cpio_file(struct cpio *c, const char *name, uint32_t perm, const void *p,
	size_t len);
void cpio_end(struct cpio *c);
static inline void cpio_done(struct cpio *c)
{
	blob_done(&c->out);
}

#endif
