/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/open.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
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
	if (o->opened)
		o->s->g->n_tls--;
	for (size_t i = 0; i < 2; i++) {
		tls_free(o->tls[i]);
		buf_done(&o->cipher[i]);
	}
	if (o->h1)
		http_proxy_done(o->h1);
	free(o->h1);
	h2_free(o->h2);
	free(o);
}

/* What goes to a side's descriptor. */
static struct buf *wire_of(struct open *o, enum http_side i)
{
	return o->tls[i] || !o->io ? &o->cipher[i] : &o->io->out[i];
}

/* ---- in ---- */

/* Bytes that may be read from a side now. */
static size_t room(const struct open *o, enum http_side i)
{
	size_t plain = o->io ? http_proxy_room(o->io, i) : GATE_SCRATCH;

	if (!o->tls[i])
		return o->io ? MIN(plain, (size_t)GATE_SCRATCH) : 0;
	return plain && tls_unread(o->tls[i]) < GATE_SCRATCH ? GATE_SCRATCH : 0;
}

static void ended(struct open *o, enum http_side i)
{
	side_of(o->s, i)->eof = true;
	if (o->io)
		o->io->eof[i] = true;
}

/* Opens what has come as far as there is room for it. */
static void decrypt(struct open *o, enum http_side i)
{
	ssize_t n = 1;

	while (n > 0 && o->tls[i] && !o->io->eof[i]) {
		size_t len = MIN(http_proxy_room(o->io, i), (size_t)TLS_PIECE);
		uint8_t *to = len ? buf_reserve(&o->io->in[i], len) : NULL;

		if (!to)
			return;
		n = tls_read(o->tls[i], to, len);
		if (n > 0)
			buf_add(&o->io->in[i], (size_t)n);
	}
	if (n < 0)
		o->io->eof[i] = true;
}

static int encrypt(struct open *o, enum http_side i)
{
	struct buf *b = &o->io->out[i];
	int r = 0;

	while (r == 0 && o->tls[i] && buf_len(b) &&
		buf_len(&o->cipher[i]) + tls_untaken(o->tls[i]) <
			GATE_SCRATCH) {
		size_t n = MIN(buf_len(b), (size_t)TLS_PIECE);

		r = tls_write(o->tls[i], buf_head(b), n);
		/* It may hold a secret. */
		if (i == HTTP_SERVER)
			explicit_bzero(b->data + b->off, n);
		buf_consume(b, n);
	}
	if (o->tls[i])
		(void)tls_take(o->tls[i], &o->cipher[i]);
	return r;
}

static void step(struct open *o)
{
	if (!o->io)
		return;
	decrypt(o, HTTP_CLIENT);
	decrypt(o, HTTP_SERVER);
	if (o->h2)
		h2_step(o->h2);
	else
		http_proxy_step(o->h1);
	/* What TLS refuses is gone; the end of that side comes by itself. */
	(void)encrypt(o, HTTP_CLIENT);
	(void)encrypt(o, HTTP_SERVER);
}

static int take(struct open *o, enum http_side i, const uint8_t *p, size_t n)
{
	return o->tls[i] ? tls_feed(o->tls[i], p, n)
			 : buf_put(&o->io->in[i], p, n);
}

static int count(struct stream *s, enum http_side i, size_t n)
{
	bool up = i == HTTP_CLIENT;

	return stream_moved(s, up, n) ? -EDQUOT : 0;
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
		step(o);
	}
	return r;
}

/* ---- out ---- */

static int flush(struct open *o, enum http_side i, bool *ret_moved)
{
	struct buf *b = wire_of(o, i);
	struct side *side = side_of(o->s, i);
	ssize_t n;

	if (buf_len(b) == 0 || side->w.fd < 0)
		return 0;
	n = send(side->w.fd, buf_head(b), buf_len(b),
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_consume(b, (size_t)n);
	*ret_moved = true;
	return 0;
}

static bool pending(struct open *o, enum http_side i)
{
	return buf_len(wire_of(o, i)) || (o->io && buf_len(&o->io->out[i]));
}

/* After an upgrade a side may end while the other goes on. */
static void pass_end(struct open *o, enum http_side from)
{
	enum http_side i = 1 - from;
	struct side *to = side_of(o->s, i);

	if (!o->io->raw || !o->io->eof[from] || to->shut || to->w.fd < 0 ||
		buf_len(&o->io->in[from]) || pending(o, i))
		return;
	to->shut = true;
	if (o->tls[i]) {
		bool moved;

		tls_close(o->tls[i]);
		(void)tls_take(o->tls[i], &o->cipher[i]);
		(void)flush(o, i, &moved);
	}
	(void)shutdown(to->w.fd, SHUT_WR);
}

/* True: the stream is over or was handed back. */
static bool finish(struct open *o)
{
	struct stream *s = o->s;
	bool moved;

	if (!o->io || !o->io->done)
		return false;
	if (o->io->reset) {
		stream_reset(s, "end", "the server closed");
		return true;
	}
	if (pending(o, HTTP_CLIENT))
		return false;
	if (o->tls[HTTP_CLIENT]) {
		tls_close(o->tls[HTTP_CLIENT]);
		(void)tls_take(o->tls[HTTP_CLIENT], &o->cipher[HTTP_CLIENT]);
		(void)flush(o, HTTP_CLIENT, &moved);
	}
	stream_drain(s, "end");
	return true;
}

static void spare(struct buf *b)
{
	if (!buf_len(b))
		buf_done(b);
}

/* Between two events a stream holds no memory but for what waits in it. */
static void idle(struct open *o)
{
	for (size_t i = 0; i < 2; i++) {
		spare(&o->cipher[i]);
		if (o->tls[i])
			tls_spare(o->tls[i]);
		if (!o->io)
			continue;
		spare(&o->io->in[i]);
		spare(&o->io->out[i]);
	}
}

static uint32_t events_of(struct open *o, enum http_side i)
{
	struct stream *s = o->s;
	bool in = !side_of(s, i)->eof && !s->throttled &&
		!(o->io && o->io->done) && room(o, i) > 0;

	return (in ? EPOLLIN : 0u) | (pending(o, i) ? EPOLLOUT : 0u);
}

static void watch(struct open *o)
{
	struct stream *s = o->s;

	stream_want(s, &s->guest, events_of(o, HTTP_CLIENT));
	if (s->state == ST_OPEN)
		stream_want(s, &s->net, events_of(o, HTTP_SERVER));
}

/* ---- setup ---- */

static void fail(struct open *o, const char *what, const char *why)
{
	char text[160];

	(void)snprintf(text, sizeof(text), "%s: %s", what, why);
	stream_reset(o->s, "error", text);
}

static void on_slow(struct loop *l, struct timer *t)
{
	struct stream *s = container_of(t, struct stream, timer);

	stream_reset(s, "error", "the TLS handshake takes too long");
}

static void talk_h1(struct open *o)
{
	o->h1 = xnew(struct http_proxy);
	http_proxy_init(o->h1, &open_http_ops, o->s);
	o->io = &o->h1->io;
}

static void talk_h2(struct open *o)
{
	o->h2 = h2_new(&open_h2_ops, o->s,
		o->s->g->n_tls > OPEN_MANY ? H2_WINDOW_SMALL : H2_WINDOW);
	o->io = &o->h2->io;
}

static void talk(struct open *o)
{
	struct stream *s = o->s;

	loop_untimer(&s->g->loop, &s->timer);
	o->phase = OPEN_TALK;
	if (o->tls[HTTP_CLIENT] && tls_protocol(o->tls[HTTP_CLIENT]) == TLS_H2)
		talk_h2(o);
	else
		talk_h1(o);
	o->io->eof[HTTP_CLIENT] = s->guest.eof;
	/* Without a server every request gets the refusal. */
	o->io->eof[HTTP_SERVER] = s->net.eof && !o->refusal[0];
}

/*
 * The server's choice is the guest's; without one it speaks HTTP/1.1, but a
 * refusal can be told in any.
 */
static int answer_guest(struct open *o, unsigned protocol)
{
	struct stream *s = o->s;
	bool any;
	unsigned offered = tls_offered(o->tls[HTTP_CLIENT], &any);

	if (protocol == 0 && any)
		protocol = offered & TLS_H1 ? TLS_H1
			: o->refusal[0]     ? offered
					    : 0;
	if (any && protocol == 0)
		return -EPROTONOSUPPORT;
	o->phase = OPEN_GUEST;
	return tls_answer(o->tls[HTTP_CLIENT], vault_ca(s->g->vault), s->name.s,
		protocol);
}

/* The guest is told in words, over TLS with it. */
static int refuse_server(struct open *o, const char *why)
{
	struct stream *s = o->s;

	(void)snprintf(o->refusal, sizeof(o->refusal),
		"TLS with %.60s failed: %s", s->name.s, why);
	tls_free(TAKE_PTR(o->tls[HTTP_SERVER]));
	buf_done(&o->cipher[HTTP_SERVER]);
	s->net.eof = s->net.shut = true;
	return answer_guest(o, 0);
}

static void resume(struct open *o)
{
	const struct stream *s = o->s;
	char addr[64], peer[80];

	(void)snprintf(peer, sizeof(peer), "%s %u%s",
		address_format(&s->addr, addr, sizeof(addr)), s->port,
		s->through ? " through" : "");
	tls_resume(o->tls[HTTP_SERVER], peer);
}

static int step_greeting(struct open *o)
{
	struct stream *s = o->s;
	unsigned offered;
	bool any;

	switch (tls_handshake(o->tls[HTTP_CLIENT])) {
	case TLS_MORE:
		return s->guest.eof ? -EPIPE : 0;
	case TLS_HELLO:
		break;
	case TLS_READY:
	case TLS_FAILED:
		return -EPROTO;
	}
	offered = tls_offered(o->tls[HTTP_CLIENT], &any);
	if (any && !offered)
		return -EPROTONOSUPPORT;
	o->tls[HTTP_SERVER] = tls_client(s->g->roots, s->name.s, offered);
	if (!o->tls[HTTP_SERVER])
		return -ENOMEM;
	resume(o);
	o->phase = OPEN_SERVER;
	return 1;
}

static int step_server(struct open *o)
{
	struct tls_conn *c = o->tls[HTTP_SERVER];
	enum tls_event e = tls_handshake(c);
	int r;

	(void)tls_take(c, &o->cipher[HTTP_SERVER]);
	if (e == TLS_MORE && !o->s->net.eof)
		return 0;
	if (e != TLS_READY)
		r = refuse_server(o, e == TLS_MORE ? "it closed" : tls_why(c));
	else
		r = answer_guest(o, tls_protocol(c));
	if (r == -EPROTONOSUPPORT)
		r = refuse_server(o,
			"it does not speak HTTP/2, and this "
			"client offers nothing else");
	return r < 0 ? r : 1;
}

static int step_guest(struct open *o)
{
	struct tls_conn *c = o->tls[HTTP_CLIENT];
	enum tls_event e = tls_handshake(c);

	(void)tls_take(c, &o->cipher[HTTP_CLIENT]);
	if (e == TLS_MORE)
		return o->s->guest.eof ? -EPIPE : 0;
	if (e != TLS_READY)
		return -EPROTO;
	talk(o);
	return 1;
}

/* 0 as far as it goes now; -errno: it cannot go on. */
static int setup(struct open *o)
{
	int r = 1;

	while (r > 0 && o->phase != OPEN_TALK) {
		switch (o->phase) {
		case OPEN_GREETING:
			r = step_greeting(o);
			break;
		case OPEN_SERVER:
			r = step_server(o);
			break;
		case OPEN_GUEST:
			r = step_guest(o);
			break;
		case OPEN_TALK:
			break;
		}
	}
	return MIN(r, 0);
}

static void setup_failed(struct open *o, int r)
{
	bool moved;

	/* An alert may be left that tells the guest why. */
	(void)tls_take(o->tls[HTTP_CLIENT], &o->cipher[HTTP_CLIENT]);
	(void)flush(o, HTTP_CLIENT, &moved);
	if (r == -EPROTONOSUPPORT)
		fail(o, "TLS",
			"the guest and the server have no protocol in common "
			"that can be read here");
	else if (o->phase == OPEN_GUEST)
		fail(o, "the guest ended TLS with Cove's certificate",
			tls_why(o->tls[HTTP_CLIENT]));
	else
		fail(o, "TLS with the guest", tls_why(o->tls[HTTP_CLIENT]));
}

/* ---- events ---- */

/* Passes on what is there until nothing moves. */
static void pump(struct open *o)
{
	struct stream *s = o->s;
	bool moved = true;
	int r = 0;

	while (moved && r == 0) {
		moved = false;
		r = setup(o);
		if (r < 0) {
			setup_failed(o, r);
			return;
		}
		step(o);
		r = flush(o, HTTP_CLIENT, &moved);
		/* A server that takes nothing may have answered before. */
		if (r == 0 && flush(o, HTTP_SERVER, &moved) < 0)
			buf_done(wire_of(o, HTTP_SERVER));
	}
	if (r < 0) {
		stream_reset(s, "end", strerror(-r));
		return;
	}
	if (finish(o))
		return;
	if (o->io) {
		pass_end(o, HTTP_CLIENT);
		pass_end(o, HTTP_SERVER);
	}
	idle(o);
	watch(o);
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
	buf_done(wire_of(s->open, HTTP_SERVER));
	return false;
}

void open_event(struct stream *s, struct side *side, uint32_t events)
{
	struct open *o = s->open;
	int r = 0;

	/* TLS said that it ended before the connection did. */
	if (side && o->io && (events & (EPOLLHUP | EPOLLERR)) &&
		o->io->eof[side == &s->guest ? HTTP_CLIENT : HTTP_SERVER])
		side->eof = true;
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

static bool still(void *arg, const struct asked *a)
{
	return request_again(arg, a);
}

bool open_still(struct stream *s)
{
	const struct open *o = s->open;

	if (!s->judged || !o->io || !o->io->busy)
		return true;
	return o->h2 ? h2_all(o->h2, still, s) : request_again(s, &s->asked);
}

static struct open *open_new(struct stream *s)
{
	struct open *o = xnew(struct open);

	assert(!s->open);
	o->s = s;
	for (size_t i = 0; i < 2; i++)
		buf_init(&o->cipher[i], 4u * GATE_SCRATCH);
	s->open = o;
	s->sniffing = false;
	s->state = ST_OPEN;
	return o;
}

static void begin(struct open *o)
{
	struct stream *s = o->s;

	if (take(o, HTTP_CLIENT, buf_head(&s->first), buf_len(&s->first)) < 0) {
		stream_reset(s, "error", "too many bytes at once");
		return;
	}
	buf_done(&s->first);
	pump(o);
}

void open_http(struct stream *s)
{
	struct open *o = open_new(s);

	talk(o);
	begin(o);
}

void open_tls(struct stream *s)
{
	struct open *o = open_new(s);

	o->opened = true;
	if (++s->g->n_tls <= GATE_TLS_MAX)
		o->tls[HTTP_CLIENT] = tls_server(s->g->front);
	if (!o->tls[HTTP_CLIENT]) {
		stream_reset(
			s, "error", "too many connections whose TLS is opened");
		return;
	}
	loop_timer(&s->g->loop, &s->timer, OPEN_SETUP_MS, on_slow);
	begin(o);
}
