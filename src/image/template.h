/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template - templates/<digest>/{root.erofs,meta.json} and the names that
 * point to them (names/<name> -> ../<digest>). The digest is SHA-256 of
 * root.erofs in hex. Making one: template_begin() in the job, which holds the
 * lock; struct template_image in the jailed worker that fills the image;
 * template_commit() in the job again.
 */
#ifndef IMAGE_TEMPLATE_H
#define IMAGE_TEMPLATE_H

#include "image/cache.h"
#include "image/layer.h"
#include "image/progress.h"

struct template_build {
	struct cache *cache;
	struct progress *p;
	char *tmp;
	int tmp_fd;
	int image; /* the empty root.erofs; the worker keeps it */
	bool keep; /* one of the same digest stays: its pages are shared */
};

int template_begin(struct template_build *b, struct cache *c,
	struct progress *p, struct err *err);
void template_abort(struct template_build *b);

/* The worker's side. */
struct template_image {
	struct tree tree;
	struct erofs erofs;
	struct layer_stats stats;
};

/* What the worker tells; the job only shows it. */
struct template_result {
	uint64_t bytes;
	uint64_t inodes;
	uint64_t file_bytes;
};

/* time: of the image, and of directories that no entry describes. */
void template_image_init(struct template_image *i, int fd, int64_t time);
void template_image_done(struct template_image *i);
int template_image_finish(struct template_image *i, const char *label,
	struct template_result *ret, struct err *err);

/*
 * Adds "digest", "size", "entries" and "file_bytes" to meta, and gives the
 * template its name. *ret_digest is a heap string.
 */
int template_commit(struct template_build *b, const char *name,
	const struct template_result *res, json_t *meta, char **ret_digest,
	struct err *err);

/*
 * The digest that a name or a digest stands for, or NULL. Names are
 * [a-z0-9._-]+; a digest may begin with "sha256:".
 */
char *template_resolve(const struct cache *c, const char *what);
/* Size and time as they were when it was made. */
int template_check_quick(
	const struct cache *c, const char *digest, struct err *err);
/* Reads all of it. */
int template_check(const struct cache *c, const char *digest, struct err *err);

#endif
