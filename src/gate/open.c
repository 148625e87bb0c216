/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/open.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define READS_PER_EVENT 4u

static struct side *side_of(struct stream *s, enum http_side i)
{
	return i == HTTP_CLIENT ? &s->guest : &s->net;
}

void open_free(struct open *o)
{
	if (!o)
		return;
	if (o->h1)
		http_proxy_done(o->h1);
	free(o->h1);
	free(o);
}

/* ---- in ---- */

/* Bytes that may be read from a side now. */
static size_t room(const struct open *o, enum http_side i)
{
	return MIN(http_proxy_room(o->io, i), (size_t)GATE_SCRATCH);
}

static int take(struct open *o, enum http_side i, const uint8_t *p, size_t n)
{
	return buf_put(&o->io->in[i], p, n);
}

static int count(struct stream *s, enum http_side i, size_t n)
{
	bool up = i == HTTP_CLIENT;

	return stream_moved(s, up, n) ? -EDQUOT : 0;
}

static void ended(struct open *o, enum http_side i)
{
	side_of(o->s, i)->eof = true;
	o->io->eof[i] = true;
}

/* 0, or -errno when the stream must end. */
static int fill(struct open *o, enum http_side i)
{
	struct stream *s = o->s;
	struct gate *g = s->g;
	struct side *side = side_of(s, i);
	int r = 0;

	for (unsigned k = 0; k < READS_PER_EVENT && r == 0; k++) {
		size_t want = room(o, i);
		ssize_t n;

		if (stream_over_quota(s))
			return -EDQUOT;
		if (side->eof || want == 0)
			return 0;
		want = stream_may_move(s, i == HTTP_CLIENT, want);
		if (want == 0)
			return 0;
		n = recv(side->w.fd, g->scratch, want, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0) {
			ended(o, i);
			return 0;
		}
		r = count(s, i, (size_t)n);
		r = r ? r : take(o, i, g->scratch, (size_t)n);
		if ((size_t)n < want)
			return r;
		http_proxy_step(o->h1);
	}
	return r;
}

/* ---- out ---- */

static int flush(struct open *o, enum http_side i, bool *ret_moved)
{
	struct buf *b = &o->io->out[i];
	struct side *side = side_of(o->s, i);
	ssize_t n;

	if (buf_len(b) == 0 || side->w.fd < 0)
		return 0;
	n = send(side->w.fd, buf_head(b), buf_len(b),
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_consume(b, (size_t)n);
	if (buf_len(b) == 0)
		buf_done(b); /* idle streams hold no memory */
	*ret_moved = true;
	return 0;
}

/* After an upgrade a side may end while the other goes on. */
static void pass_end(struct open *o, enum http_side from)
{
	struct side *to = side_of(o->s, 1 - from);

	if (!o->io->raw || !o->io->eof[from] || to->shut ||
		buf_len(&o->io->in[from]) || buf_len(&o->io->out[1 - from]))
		return;
	to->shut = true;
	(void)shutdown(to->w.fd, SHUT_WR);
}

/* True: the stream is over or was handed back. */
static bool finish(struct open *o)
{
	struct stream *s = o->s;

	if (!o->io->done)
		return false;
	if (o->io->reset) {
		stream_reset(s, "end", "the server closed");
		return true;
	}
	if (buf_len(&o->io->out[HTTP_CLIENT]))
		return false;
	stream_drain(s, "end");
	return true;
}

static void idle(struct open *o)
{
	for (size_t i = 0; i < 2; i++)
		if (!buf_len(&o->io->in[i]))
			buf_done(&o->io->in[i]);
}

static uint32_t events_of(struct open *o, enum http_side i)
{
	struct stream *s = o->s;
	bool in = !side_of(s, i)->eof && !s->throttled && !o->io->done &&
		room(o, i) > 0;

	return (in ? EPOLLIN : 0u) | (buf_len(&o->io->out[i]) ? EPOLLOUT : 0u);
}

/* Passes on what is there until nothing moves. */
static void pump(struct open *o)
{
	struct stream *s = o->s;
	bool moved = true;
	int r = 0;

	while (moved && r == 0) {
		moved = false;
		http_proxy_step(o->h1);
		r = flush(o, HTTP_CLIENT, &moved);
		/* A server that takes nothing may have answered before. */
		if (r == 0 && flush(o, HTTP_SERVER, &moved) < 0)
			buf_done(&o->io->out[HTTP_SERVER]);
	}
	if (r < 0) {
		stream_reset(s, "end", strerror(-r));
		return;
	}
	if (finish(o))
		return;
	pass_end(o, HTTP_CLIENT);
	pass_end(o, HTTP_SERVER);
	if (!o->io->busy)
		idle(o);
	stream_want(s, &s->guest, events_of(o, HTTP_CLIENT));
	if (s->state == ST_OPEN)
		stream_want(s, &s->net, events_of(o, HTTP_SERVER));
}

/*
 * A side that has ended and now takes nothing any more either. A server that
 * is gone may still have left an answer; a guest that is gone wants none.
 */
static bool gone(struct stream *s, struct side *side, uint32_t events)
{
	if (!(events & (EPOLLHUP | EPOLLERR)) || !side->eof)
		return false;
	if (side == &s->guest) {
		stream_reset(s, "end", "reset");
		return true;
	}
	side->shut = true;
	buf_done(&s->open->io->out[HTTP_SERVER]);
	return false;
}

void open_event(struct stream *s, struct side *side, uint32_t events)
{
	struct open *o = s->open;
	int r = 0;

	if (side && gone(s, side, events))
		return;
	if (side && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = fill(o, side == &s->guest ? HTTP_CLIENT : HTTP_SERVER);
	if (r == -EDQUOT)
		stream_reset(s, "cut", "the network quota is used up");
	else if (r < 0 && side == &s->guest)
		stream_reset(s, "end", strerror(-r));
	else if (r < 0)
		ended(o, HTTP_SERVER);
	if (s->state == ST_OPEN)
		pump(o);
}

bool open_still(struct stream *s)
{
	return !s->judged || !s->open->io->busy || request_again(s);
}

static struct open *open_new(struct stream *s)
{
	struct open *o = xnew(struct open);

	assert(!s->open);
	o->s = s;
	s->open = o;
	s->sniffing = false;
	s->state = ST_OPEN;
	return o;
}

void open_http(struct stream *s)
{
	struct open *o = open_new(s);

	o->h1 = xnew(struct http_proxy);
	http_proxy_init(o->h1, &open_http_ops, s);
	o->io = &o->h1->io;
	o->io->eof[HTTP_CLIENT] = s->guest.eof;
	o->io->eof[HTTP_SERVER] = s->net.eof;
	if (take(o, HTTP_CLIENT, buf_head(&s->first), buf_len(&s->first)) < 0) {
		stream_reset(s, "error", "too many bytes at once");
		return;
	}
	buf_done(&s->first);
	pump(o);
}
