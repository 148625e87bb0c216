/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf - a growable byte buffer with a hard maximum, consumed from the front.
 * Data is buf->data[buf->off .. buf->off + buf_len()). Embedded in its owner.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/util.h"

struct buf {
	uint8_t *data;
	size_t off;
	size_t end;
	size_t cap;
	size_t max; /* bytes that may be held at once */
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->off;
}
static inline const uint8_t *buf_head(const struct buf *b)
{
	return b->data + b->off;
}
/* Room for len more bytes or NULL when that exceeds max. Commit with buf_add. */
uint8_t *buf_reserve(struct buf *b, size_t len);
void buf_add(struct buf *b, size_t len);
void buf_consume(struct buf *b, size_t len);
void buf_clear(struct buf *b);
/* 0, or -ENOBUFS when max would be exceeded (nothing is appended then). */
int buf_put(struct buf *b, const void *p, size_t len);
int buf_putf(struct buf *b, const char *fmt, ...) _printf_(2, 3);
/*
 * One read/write; bytes moved, 0 at end of file (read), -errno. Reads at most
 * what max leaves room for; -ENOBUFS when that is nothing.
 */
ssize_t buf_read_fd(struct buf *b, int fd, size_t want);
ssize_t buf_write_fd(struct buf *b, int fd);
/* What a socket takes of it, without waiting; frees what is empty. 0, -errno */
int buf_send(struct buf *b, int fd);

#endif
