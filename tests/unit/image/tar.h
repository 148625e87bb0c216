/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar - makes tar archives in memory for tests, by libarchive's writer, and
 * turns a row of them into an image. Everything asserts.
 */
#ifndef TESTS_TAR_H
#define TESTS_TAR_H

#include "image/erofs_read.h"
#include "image/layer.h"

struct tar {
	struct archive *a;
	struct archive_entry *e; /* the entry in hand */
	char *out;
	size_t len;
	size_t used;
};

/* filter: NULL, "gzip", "xz" or "zstd" */
void tar_open(struct tar *t, const char *filter);
/* Sets the entry in hand; change it with archive_entry_*() before tar_put. */
struct archive_entry *tar_entry(struct tar *t, const char *path, uint32_t mode);
void tar_put(struct tar *t, const void *data, size_t len);
/* Short forms. */
void tar_file(struct tar *t, const char *path, const char *text);
void tar_dir(struct tar *t, const char *path);
void tar_link(struct tar *t, const char *path, const char *target);
void tar_symlink(struct tar *t, const char *path, const char *target);
void tar_close(struct tar *t);
void tar_done(struct tar *t);

/* An image in the making and, after image_finish(), its reader. */
struct image {
	struct tree tree;
	struct erofs erofs;
	struct layer_opts opts;
	struct layer_stats stats;
	int fd;
	uint8_t *map;
	size_t map_len;
	struct er er;
};

void image_init(
	struct image *i, const struct tree_limits *limits, uint64_t max_bytes);
void image_done(struct image *i);
int image_layer(struct image *i, const void *p, size_t len, struct err *err);
/* Applies the closed archive as next layer. */
int image_tar(struct image *i, const struct tar *t, struct err *err);
int image_finish(struct image *i, struct err *err);

#endif
