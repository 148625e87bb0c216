/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stream.h"

#include "base/fd.h"
#include <errno.h>
#include <sys/socket.h>

#define WANT_MIN 4096u
#define WANT_MAX (128u * 1024u)

static uint32_t wanted(const struct stream *s)
{
	uint32_t ev = s->ignore_end ? 0 : EPOLLRDHUP;

	if (s->reading)
		ev |= EPOLLIN;
	if (stream_blocked(s))
		ev |= EPOLLOUT;
	return ev;
}

static void rearm(struct stream *s)
{
	loop_rewatch(s->loop, &s->watch, wanted(s));
}

int stream_open(struct stream *s, struct loop *l, int fd, watch_fn *fn)
{
	int r = fd_nonblock(fd, true);

	*s = (struct stream){.loop = l, .fd = -1, .want = WANT_MIN};
	if (r == 0)
		r = loop_watch(l, &s->watch, fd, EPOLLIN | EPOLLRDHUP, fn);
	if (r < 0) {
		close(fd);
		return r;
	}
	s->fd = fd;
	s->reading = true;
	buf_init(&s->in, STREAM_IN_MAX);
	buf_init(&s->out, STREAM_OUT_MAX);
	return 0;
}

void stream_close(struct stream *s)
{
	if (s->fd < 0)
		return;
	loop_unwatch(s->loop, &s->watch);
	closep(&s->fd);
	buf_done(&s->in);
	buf_done(&s->out);
}

int stream_take(struct stream *s, struct buf *ret_in)
{
	int fd = TAKE_FD(s->fd);

	loop_unwatch(s->loop, &s->watch);
	*ret_in = s->in;
	buf_done(&s->out);
	return fd;
}

void stream_set_reading(struct stream *s, bool on)
{
	s->reading = on;
	rearm(s);
}

void stream_ignore_end(struct stream *s)
{
	s->ignore_end = true;
	rearm(s);
}

/*
 * Small reads while little comes, so that an idle or interactive session costs
 * a page and not the 256 KiB that a bulk transfer uses.
 */
ssize_t stream_fill(struct stream *s)
{
	ssize_t n = buf_read_fd(&s->in, s->fd, s->want);

	if (n == (ssize_t)s->want)
		s->want = MIN(s->want * 4, (size_t)WANT_MAX);
	return n;
}

static ssize_t write_some(int fd, const void *p, size_t len)
{
	ssize_t n;

	do
		n = send(fd, p, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

int stream_send(struct stream *s, const void *p, size_t len)
{
	ssize_t n = 0;
	int r;

	if (!stream_blocked(s)) {
		n = write_some(s->fd, p, len);
		if (n < 0)
			return (int)n;
	}
	if ((size_t)n == len)
		return 0;
	r = buf_put(&s->out, (const uint8_t *)p + n, len - (size_t)n);
	rearm(s);
	return r;
}

int stream_send_frame(
	struct stream *s, uint8_t type, const void *body, size_t len)
{
	struct buf b;
	int r;

	buf_init(&b, FRAME_HEAD + FRAME_MAX);
	r = frame_put(&b, type, body, len);
	if (r == 0)
		r = stream_send(s, buf_head(&b), buf_len(&b));
	buf_done(&b);
	return r;
}

int stream_flush(struct stream *s)
{
	while (stream_blocked(s)) {
		ssize_t n =
			write_some(s->fd, buf_head(&s->out), buf_len(&s->out));

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		buf_consume(&s->out, (size_t)n);
	}
	rearm(s);
	return 0;
}
