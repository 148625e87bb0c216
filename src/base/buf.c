/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CAP_MIN 256u

/* Stands for "nothing allocated", so that data is never NULL. */
static uint8_t nothing[1];

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.data = nothing, .max = max};
}

void buf_done(struct buf *b)
{
	if (b->cap)
		free(b->data);
	*b = (struct buf){.data = nothing, .max = b->max};
}

/*
 * Data is moved to the front only while at most half of the allocation is in
 * use, so every byte is moved at most once for each byte consumed; the price
 * is an allocation of up to twice max.
 */
uint8_t *buf_reserve(struct buf *b, size_t len)
{
	size_t used = buf_len(b);
	size_t need, cap;
	uint8_t *data;

	if (!add_ok(used, len, &need) || need > b->max)
		return NULL;
	if (len <= b->cap - b->end)
		return b->data + b->end;
	if (need > b->cap / 2) {
		if (!mul_ok(need, 2, &cap))
			return NULL;
		cap = MAX(cap, (size_t)CAP_MIN);
		/* Not zeroed: only what was put is read. */
		data = xrealloc(NULL, cap, 1);
		if (used)
			memcpy(data, buf_head(b), used);
		if (b->cap)
			free(b->data);
		b->data = data;
		b->cap = cap;
	} else {
		memmove(b->data, b->data + b->off, used);
	}
	b->off = 0;
	b->end = used;
	return b->data + b->end;
}

void buf_add(struct buf *b, size_t len)
{
	assert(len <= b->cap - b->end);
	b->end += len;
}

void buf_consume(struct buf *b, size_t len)
{
	assert(len <= buf_len(b));
	b->off += len;
	if (b->off == b->end)
		buf_clear(b);
}

void buf_clear(struct buf *b)
{
	b->off = 0;
	b->end = 0;
}

int buf_put(struct buf *b, const void *p, size_t len)
{
	uint8_t *to = buf_reserve(b, len);

	if (!to)
		return -ENOBUFS;
	if (len)
		memcpy(to, p, len);
	b->end += len;
	return 0;
}

int buf_putf(struct buf *b, const char *fmt, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (r < 0) {
		s = NULL;
		return -ENOMEM;
	}
	return buf_put(b, s, (size_t)r);
}

/* Takes less than want when max leaves less room; -ENOBUFS when it is full. */
ssize_t buf_read_fd(struct buf *b, int fd, size_t want)
{
	size_t used = buf_len(b);
	uint8_t *to;
	ssize_t n;

	want = MIN(want, b->max - MIN(used, b->max));
	if (!want)
		return -ENOBUFS;
	to = buf_reserve(b, want);
	if (!to)
		return -ENOBUFS;
	do
		n = read(fd, to, want);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf_add(b, (size_t)n);
	return n;
}

ssize_t buf_write_fd(struct buf *b, int fd)
{
	ssize_t n;

	if (!buf_len(b))
		return 0;
	do
		n = write(fd, buf_head(b), buf_len(b));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	buf_consume(b, (size_t)n);
	return n;
}

int buf_send(struct buf *b, int fd)
{
	ssize_t n = 0;

	if (buf_len(b) > 0)
		n = send(fd, buf_head(b), buf_len(b),
			MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_consume(b, (size_t)n);
	if (buf_len(b) == 0)
		buf_done(b);
	return 0;
}
