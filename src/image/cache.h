/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache - one directory below the user's cache whose entries appear whole or
 * not at all: made in "tmp-*", synced, renamed. A lock file keeps two jobs on
 * the same directory apart; what a killed job left is removed by the next.
 * The directory is the user's own and trusted.
 */
#ifndef IMAGE_CACHE_H
#define IMAGE_CACHE_H

#include "base/err.h"
#include <jansson.h>

struct cache {
	char *path;
	int fd;
	int lock;
};

#define CACHE_NONE                                 \
	{                                          \
		.path = NULL, .fd = -1, .lock = -1 \
	}

/* Opens (and makes) $cache/<name>; does not lock. */
int cache_open(struct cache *c, const char *name, struct err *err);
void cache_done(struct cache *c);
/*
 * Waits for other jobs, then cleans up after dead ones. on_wait (may be NULL)
 * is called once when there is something to wait for.
 */
int cache_lock(
	struct cache *c, void (*on_wait)(void *), void *arg, struct err *err);

/* A new directory "tmp-..."; *ret_fd is open, the name is the caller's. */
int cache_tmp(struct cache *c, char **ret_name, int *ret_fd, struct err *err);
/* Removes a file, or a directory with all it holds; missing is fine. */
int cache_remove(int dirfd, const char *name);
/* Syncs the files in tmp, then renames it to name, replacing what was there. */
int cache_commit(struct cache *c, const char *tmp, int tmp_fd, const char *name,
	struct err *err);
/* Points the symlink name (below dirfd) to target, atomically. */
int cache_symlink(
	int dirfd, const char *name, const char *target, struct err *err);
/* Refuses when fewer than need bytes are free at path. */
int cache_space(const char *path, uint64_t need, struct err *err);

/* A small JSON object in a file of its own; NULL when missing or no object. */
json_t *cache_read_json(int dirfd, const char *path);
int cache_write_json(
	int dirfd, const char *path, const json_t *o, struct err *err);

#endif
