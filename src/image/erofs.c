/* SPDX-License-Identifier: Apache-2.0 */
/* The data area: buffered writes, whole blocks, tails put aside. */
#include "image/erofs.h"
#include "image/erofs_internal.h"

#include <errno.h>
#include <string.h>

#define OUT_MAX (1u * MIB)
/* A longer rest gets a block of its own: few would share one anyway. */
#define TAIL_MAX 2048u

void erofs_init(struct erofs *e, int fd, uint64_t max_bytes)
{
	*e = (struct erofs){
		.fd = fd,
		.max_bytes = max_bytes,
		.pos = EROFS_BLOCK,
		.out = xcalloc(1, OUT_MAX),
	};
}

void erofs_done(struct erofs *e)
{
	free(e->out);
	e->out = NULL;
}

int erofs_flush(struct erofs *e)
{
	size_t done = 0;

	while (done < e->out_len && !e->failed) {
		ssize_t n = pwrite(e->fd, e->out + done, e->out_len - done,
			(off_t)(e->out_at + done));

		if (n < 0 && errno != EINTR)
			e->failed = -errno;
		if (n > 0)
			done += (size_t)n;
	}
	e->out_at += e->out_len;
	e->out_len = 0;
	return e->failed;
}

void erofs_write(struct erofs *e, uint64_t at, const void *p, size_t len)
{
	const uint8_t *from = p;

	while (len > 0) {
		size_t n;

		if (at != e->out_at + e->out_len || e->out_len == OUT_MAX) {
			erofs_flush(e);
			e->out_at = at;
		}
		n = MIN(len, (size_t)OUT_MAX - e->out_len);
		memcpy(e->out + e->out_len, from, n);
		e->out_len += n;
		from += n;
		at += n;
		len -= n;
	}
}

/* Room for the inode, its attributes and the tail in one block. */
static bool tail_fits(const struct inode *i, uint64_t tail)
{
	return tail > 0 && tail <= TAIL_MAX &&
		sizeof(struct erofs_inode_extended) + erofs_xattr_size(i) +
			tail <=
		EROFS_BLOCK;
}

int erofs_reserve(
	struct erofs *e, uint64_t bytes, uint64_t *ret_at, struct err *err)
{
	uint64_t end;

	if (!add_ok(e->pos, bytes, &end) ||
		!add_ok(end, EROFS_BLOCK - 1, &end) || end > e->max_bytes)
		return err_set(err, EFBIG,
			"the archive unpacks to more than %llu bytes",
			(unsigned long long)e->max_bytes);
	*ret_at = e->pos;
	e->pos = end & ~(uint64_t)(EROFS_BLOCK - 1);
	return 0;
}

int erofs_file_begin(struct erofs *e, struct tree *t, struct inode *i,
	struct erofs_file *ret, struct err *err)
{
	uint64_t tail = i->size % EROFS_BLOCK;
	uint64_t whole = i->size, at = 0;
	int r;

	/* when memory for tails has run out, blocks do as well */
	if (tail_fits(i, tail))
		i->tail = tree_alloc(t, tail, NULL);
	if (i->tail)
		whole -= tail;
	r = erofs_reserve(e, whole, &at, err);
	if (r < 0)
		return r;
	i->block = at / EROFS_BLOCK;
	*ret = (struct erofs_file){.e = e, .inode = i, .whole = whole};
	return 0;
}

int erofs_file_write(struct erofs_file *f, uint64_t offset, const void *p,
	size_t len, struct err *err)
{
	const uint8_t *from = p;
	uint64_t end;
	size_t n;

	if (!add_ok(offset, (uint64_t)len, &end) || end > f->inode->size)
		return err_set(err, EFBIG,
			"a file in the archive is longer than its header says");
	if (offset < f->whole) {
		n = (size_t)MIN((uint64_t)len, f->whole - offset);
		erofs_write(
			f->e, f->inode->block * EROFS_BLOCK + offset, from, n);
		from += n;
		offset += n;
		len -= n;
	}
	if (len > 0)
		memcpy(f->inode->tail + (offset - f->whole), from, len);
	if (f->e->failed)
		return err_sys(err, -f->e->failed, "cannot write the image");
	return 0;
}
