/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - a FUSE client in a few functions, for tests of the file server:
 * builds requests by hand, cuts them into odd pieces of "guest memory", checks
 * the frame of each reply. All functions return 0 or the reply's -errno.
 */
#ifndef TESTS_UNIT_FS_CLIENT_H
#define TESTS_UNIT_FS_CLIENT_H

#include "cm.h"
#include "fs/fs.h"

#include <linux/fuse.h>
#include <sys/stat.h>

struct client {
	struct fs *fs;
	unsigned worker;
	uint32_t pid;
	uint64_t unique;
	size_t piece; /* bytes in an iovec element; 0: one element */
	uint8_t *in, *out;
	struct iovec *in_iov, *out_iov;
	size_t out_len; /* payload of the last reply */
};

/* A server for tests on a temporary directory. */
struct world {
	struct fs *fs;
	struct client c;
	char dir[64]; /* absolute; holds rw/, ro/, file, secret */
};

#define CLIENT_BUF (FS_IO_MAX + 8192u)

void world_open(struct world *w, const struct fs_config *config);
void world_close(struct world *w);
/* "dir/name", in a static buffer (4 of them in turn). */
const char *at(const struct world *w, const char *name);
void file_put(const char *path, const char *text);
/* The clock that the file server compares times with. */
uint64_t coarse_now(void);
/* Until it, and the time that a change would get now, are later than changes
 * so far. */
void clock_moves(const struct world *w);

void client_init(struct client *c, struct fs *fs, unsigned worker);
void client_done(struct client *c);
int call(struct client *c, uint32_t op, uint64_t node, const void *arg,
	size_t len, const void *more, size_t more_len);
int call_init(struct client *c);
int call_name(struct client *c, uint32_t op, uint64_t node, const void *arg,
	size_t len, const char *name);

int lookup(struct client *c, uint64_t dir, const char *name,
	struct fuse_entry_out *ret);
/* Path of components separated by "/", from an export; 0 on failure. */
uint64_t walk(struct client *c, const char *path);
int getattr(struct client *c, uint64_t node, struct fuse_attr *ret);
int create(struct client *c, uint64_t dir, const char *name, uint32_t flags,
	uint32_t mode, uint64_t *ret_node, uint64_t *ret_fh);
int open_node(struct client *c, uint32_t op, uint64_t node, uint32_t flags,
	struct fuse_open_out *ret);
int release(struct client *c, uint32_t op, uint64_t node, uint64_t fh);
int write_at(struct client *c, uint64_t node, uint64_t fh, uint64_t off,
	const char *text, uint32_t flags);
/* Bytes read into c->out's payload, or -errno. */
int read_at(struct client *c, uint64_t node, uint64_t fh, uint64_t off,
	uint32_t size);
const void *payload(const struct client *c);
void forget(struct client *c, uint64_t node, uint64_t n);
int rename_to(struct client *c, uint64_t dir, const char *name, uint64_t newdir,
	const char *newname, uint32_t flags);
int link_to(struct client *c, uint64_t node, uint64_t dir, const char *name);
int setattr(struct client *c, uint64_t node, const struct fuse_setattr_in *in);

#endif
