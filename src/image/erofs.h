/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs - writes an EROFS image in one pass: superblock, then the data of
 * files as it comes, then directories, then inodes with their attributes and
 * inline tails. Uncompressed, 4 KiB blocks, no incompatible feature: any
 * kernel since 5.4 mounts it (Documentation/filesystems/erofs.rst and
 * fs/erofs/erofs_fs.h of Linux 6.1 describe the layout).
 *
 * The caller owns the descriptor, which must be an empty regular file, and
 * the tree. Sizes come from archives: the image never grows beyond max_bytes.
 * One thread.
 */
#ifndef IMAGE_EROFS_H
#define IMAGE_EROFS_H

#include "image/tree.h"

#define EROFS_BLOCK 4096u

struct erofs {
	int fd;
	uint64_t max_bytes;
	uint64_t pos; /* where the next file's data starts; whole blocks */
	/* bytes not written yet */
	uint8_t *out;
	size_t out_len;
	uint64_t out_at;
	int failed; /* first -errno of a write; nothing is written after it */
	/* layout of the metadata, set by erofs_finish() */
	uint64_t dirs_at;
	uint64_t meta_at;
	uint64_t meta_len;
	uint64_t n_inodes;
};

void erofs_init(struct erofs *e, int fd, uint64_t max_bytes);
void erofs_done(struct erofs *e);

/* One regular file: its size is fixed before its data comes. */
struct erofs_file {
	struct erofs *e;
	struct inode *inode;
	uint64_t whole; /* bytes that go to blocks; the rest to inode->tail */
};

/*
 * Reserves the blocks of inode->size bytes; xattrs must be complete. A small
 * rest of the file is kept in the tree's memory, next to the inode.
 */
int erofs_file_begin(struct erofs *e, struct tree *t, struct inode *i,
	struct erofs_file *ret, struct err *err);
/* Any order, gaps are zeros. -EFBIG beyond the size. */
int erofs_file_write(struct erofs_file *f, uint64_t offset, const void *p,
	size_t len, struct err *err);

/*
 * Seals the tree, writes what is missing and gives back blocks of files that
 * a later entry replaced. *ret_bytes is the size of the image. No fsync.
 */
int erofs_finish(struct erofs *e, struct tree *t, const char *label,
	uint64_t *ret_bytes, struct err *err);

#endif
