/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_src - where a kernel comes from: the distribution's package fetched
 * by apt (never installed), a .deb file, or a kernel image and a directory of
 * modules that the user brings. Only finds and reads files; nothing is parsed
 * here. Main thread of the job.
 */
#ifndef IMAGE_KERNEL_SRC_H
#define IMAGE_KERNEL_SRC_H

#include "image/modules.h"
#include "image/progress.h"

struct kernel_src {
	int deb;             /* an open package, or -1: then the rest */
	struct blob image;   /* bzImage or ELF, as it came */
	struct modules mods; /* as they came */
	char *origin;        /* file name of the package or image */
};

#define KERNEL_SRC_NONE   \
	{                 \
		.deb = -1 \
	}

void kernel_src_done(struct kernel_src *s);
/* series "" is the default, else "6.1" or "6.12". dir is for the download. */
int kernel_src_apt(struct kernel_src *s, const char *series, const char *dir,
	struct progress *p, struct err *err);
int kernel_src_deb(struct kernel_src *s, const char *deb, struct err *err);
/* modules_dir may be NULL: everything is built in. */
int kernel_src_files(struct kernel_src *s, const char *image,
	const char *modules_dir, struct err *err);

#endif
