/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs_internal - shared by the two halves of the writer: erofs.c (data) and
 * erofs_meta.c (directories, inodes, superblock). Nobody else includes it.
 */
#ifndef IMAGE_EROFS_INTERNAL_H
#define IMAGE_EROFS_INTERNAL_H

#include "image/erofs.h"
#include "image/erofs_fs.h"

/* Buffered; an error is kept in e->failed. */
void erofs_write(struct erofs *e, uint64_t at, const void *p, size_t len);
int erofs_flush(struct erofs *e);
/* Whole blocks for bytes; *ret_at is their offset in the image. */
int erofs_reserve(
	struct erofs *e, uint64_t bytes, uint64_t *ret_at, struct err *err);
/* Bytes that the inline attributes take, with their head; 0 for none. */
size_t erofs_xattr_size(const struct inode *i);

#endif
