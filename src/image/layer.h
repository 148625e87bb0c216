/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer - reads a tar stream (plain, gzip, zstd or xz) into a tree and its
 * file data into an image. libarchive parses; only tar formats and those
 * filters are compiled into the reader, and its warnings are errors, so that
 * no name or size is taken half-understood.
 *
 * The stream is hostile. Nothing of it touches the host's file system: no
 * path is opened, no device made, no owner changed. The locale must be UTF-8
 * (layer_locale()), or libarchive truncates names.
 */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include "image/erofs.h"
#include <sys/types.h>

/*
 * The next bytes of the stream: *ret_p is valid until the next call. Their
 * number, 0 at the end, -errno.
 */
typedef ssize_t layer_read_fn(void *arg, const void **ret_p);

struct layer_opts {
	bool whiteouts;    /* .wh. names mean what OCI layers mean by them */
	bool devices;      /* keep device nodes (as inodes of the image) */
	bool skip_devices; /* leave them out; with neither they are refused */
};

struct layer_stats {
	uint64_t entries;
	uint64_t bytes; /* of file data */
	uint64_t
		dropped; /* attributes that Linux or overlayfs has no use for */
};

int layer_locale(struct err *err);
/* Puts the stream on top of the tree; stats are added to. */
int layer_apply(struct tree *t, struct erofs *e, const struct layer_opts *opts,
	layer_read_fn *read, void *arg, struct layer_stats *stats,
	struct err *err);

#endif
