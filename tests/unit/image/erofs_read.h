/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs_read - reads an EROFS image in memory, written without a look at the
 * writer: from the kernel's documentation only. Asserts whatever a reader may
 * rely on (bounds, order of names, types, links), so walking an image checks
 * it. For tests and fuzz harnesses.
 */
#ifndef TESTS_EROFS_READ_H
#define TESTS_EROFS_READ_H

#include "base/util.h"

struct er {
	const uint8_t *p;
	size_t len;
	uint64_t meta;
	uint64_t root;
	uint64_t inos;
	uint64_t build_time;
};

struct er_inode {
	uint64_t nid;
	uint32_t mode, uid, gid, links, u;
	uint64_t size;
	uint64_t mtime;
	uint32_t mtime_nsec;
	unsigned layout; /* 0 plain, 2 inline */
	bool extended;
	uint64_t xattrs; /* offset, 0 none */
	uint64_t xattrs_len;
	uint64_t tail; /* offset of what follows inode and attributes */
};

void er_open(struct er *e, const uint8_t *p, size_t len);
void er_inode(const struct er *e, uint64_t nid, struct er_inode *ret);
/* false when there is no such path; "" is the root. */
bool er_lookup(const struct er *e, const char *path, struct er_inode *ret);
/* Heap copy of the data, NUL-terminated. */
char *er_data(const struct er *e, const struct er_inode *i);
/* Heap copy of the value (NUL-terminated) or NULL. */
char *er_xattr(const struct er *e, const struct er_inode *i, unsigned index,
	const char *name, size_t *ret_len);

typedef void er_fn(void *arg, const char *path, const struct er_inode *i);
/* Every name below the root, depth first; returns how many. */
size_t er_walk(const struct er *e, er_fn *fn, void *arg);

#endif
