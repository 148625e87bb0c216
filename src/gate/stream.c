/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/stream.h"

#include "gate/judge.h"
#include "gate/limit.h"
#include "gate/open.h"
#include "gate/peer.h"
#include "gate/ports.h"
#include "gate/through.h"
#include "gate/udp.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define READS_PER_EVENT 4u

static void on_guest(struct loop *l, struct watch *w, uint32_t events);
static void on_net(struct loop *l, struct watch *w, uint32_t events);
static void on_timer(struct loop *l, struct timer *t);

const char *stream_target(const struct stream *s, char *buf, size_t len)
{
	char text[64];

	if (s->by_name)
		(void)snprintf(buf, len, "%s", s->name.s);
	else
		(void)snprintf(buf, len, "%s",
			address_format(&s->addr, text, sizeof(text)));
	return buf;
}

void stream_note(struct stream *s, const char *verdict, const char *reason)
{
	char target[NAME_MAX_LEN + 1];
	const struct audit_entry e = {
		.proto = s->head[1] == EGRESS_UDP ? "udp" : "tcp",
		.target = stream_target(s, target, sizeof(target)),
		.port = s->port,
		.path = s->inbound   ? "port"
			: s->open    ? "open"
			: s->by_name ? "tunnel"
				     : "raw",
		.verdict = verdict,
		.rule = s->rule,
		.reason = reason,
		.up = s->up,
		.down = s->down,
	};

	audit_write(&s->g->audit, &e);
}

static void free_later(struct loop *l, struct task *t)
{
	struct stream *s = container_of(t, struct stream, free_task);

	buf_done(&s->guest.out);
	buf_done(&s->net.out);
	buf_done(&s->first);
	open_free(s->open);
	asked_done(&s->asked);
	free(s);
}

static void close_side(struct gate *g, struct side *side, bool hard)
{
	const struct linger now = {1, 0};

	if (side->w.fd < 0)
		return;
	loop_unwatch(&g->loop, &side->w);
	if (hard)
		(void)setsockopt(
			side->w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	closep(&side->w.fd);
}

void stream_drop_net(struct stream *s)
{
	close_side(s->g, &s->net, true);
}

static void close_all(struct stream *s, bool hard)
{
	struct gate *g = s->g;

	assert(s->state != ST_DEAD);
	s->state = ST_DEAD;
	lookup_cancel(&s->lookup);
	dial_cancel(TAKE_PTR(s->dial));
	peer_free(g, TAKE_PTR(s->peer));
	loop_untimer(&g->loop, &s->timer);
	close_side(g, &s->guest, false);
	close_side(g, &s->net, hard);
	list_del(&s->link);
	g->n_streams--;
	loop_defer(&g->loop, &s->free_task, free_later);
}

void stream_reset(struct stream *s, const char *verdict, const char *reason)
{
	if (verdict)
		stream_note(s, verdict, reason);
	close_all(s, true);
}

/*
 * What to wait for. A side that is not read because the other is slow is not
 * watched at all: its hang-up would come again and again. One that has ended
 * stays watched for the hang-up alone.
 */
void stream_want(struct stream *s, struct side *side, uint32_t events)
{
	struct loop *l = &s->g->loop;

	if (side->w.fd < 0)
		return;
	if (events == 0 && (!side->eof || side->shut))
		loop_unwatch(l, &side->w);
	else if (side->w.active)
		loop_rewatch(l, &side->w, events);
	else if (loop_watch(l, &side->w, side->w.fd, events,
			 side == &s->guest ? on_guest : on_net) < 0)
		stream_reset(s, "error", "out of memory");
}

static uint32_t events_of(
	const struct stream *s, const struct side *side, const struct side *to)
{
	bool in = !side->eof && buf_len(&to->out) == 0 && !s->throttled;

	return (in ? EPOLLIN : 0u) | (buf_len(&side->out) ? EPOLLOUT : 0u);
}

/* Passes half-closes on; ends the stream when both ways have. */
static void settle(struct stream *s)
{
	struct side *sides[] = {&s->guest, &s->net};

	for (size_t i = 0; i < 2; i++) {
		struct side *to = sides[i], *from = sides[1 - i];

		if (!from->eof || to->shut || buf_len(&to->out))
			continue;
		to->shut = true;
		(void)shutdown(to->w.fd, SHUT_WR);
	}
	if (s->guest.shut && s->net.shut) {
		stream_note(s, "end", "");
		close_all(s, false);
		return;
	}
	stream_want(s, &s->guest, events_of(s, &s->guest, &s->net));
	if (s->state == ST_RELAY)
		stream_want(s, &s->net, events_of(s, &s->net, &s->guest));
}

/* Sends what can be sent, keeps the rest. 0 or -errno. */
static int put(struct side *to, const uint8_t *p, size_t len)
{
	ssize_t n = 0;

	if (buf_len(&to->out) == 0)
		n = send(to->w.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	n = MAX(n, 0);
	if ((size_t)n == len)
		return 0;
	return buf_put(&to->out, p + n, len - (size_t)n);
}

static int flush(struct side *to)
{
	ssize_t n;

	if (buf_len(&to->out) == 0)
		return 0;
	n = send(to->w.fd, buf_head(&to->out), buf_len(&to->out),
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_consume(&to->out, (size_t)n);
	if (buf_len(&to->out) == 0)
		buf_done(&to->out); /* idle streams hold no memory */
	return 0;
}

static void wake_all(struct loop *l, struct timer *t)
{
	streams_wake(container_of(t, struct gate, throttle));
}

static void park(struct stream *s, const struct rate *rate)
{
	struct gate *g = s->g;

	s->throttled = true;
	if (!g->throttle.armed)
		loop_timer(&g->loop, &g->throttle, rate_wait_ms(rate, now_ms()),
			wake_all);
}

bool stream_over_quota(const struct stream *s)
{
	return s->g->over_quota || limit_over(s->limit);
}

size_t stream_may_move(struct stream *s, bool up, size_t want)
{
	struct rate *all = up ? &s->g->up : &s->g->down;
	struct rate *own = !s->limit ? NULL
		: up                 ? &s->limit->up
				     : &s->limit->down;
	size_t room;

	if (all->per_second == 0 && (!own || own->per_second == 0))
		return want; /* without looking at the clock */
	room = rate_allow(all, want, now_ms());
	if (room == 0) {
		park(s, all);
		return 0;
	}
	if (own)
		room = rate_allow(own, room, now_ms());
	if (room == 0)
		park(s, own);
	return room;
}

bool stream_moved(struct stream *s, bool up, size_t n)
{
	bool over;

	rate_take(up ? &s->g->up : &s->g->down, n);
	*(up ? &s->up : &s->down) += n;
	over = gate_spend(s->g, up ? n : 0, up ? 0 : n);
	if (!s->limit)
		return over;
	rate_take(up ? &s->limit->up : &s->limit->down, n);
	return limit_spend(s->g, s->limit, n) || over;
}

/* The guest's first bytes were judged: they may go. 0, or a reset happened. */
static int pass_first(struct stream *s)
{
	int r = put(&s->net, buf_head(&s->first), buf_len(&s->first));

	s->sniffing = false;
	buf_done(&s->first);
	return r;
}

/* 1 go on; 0 the stream is not what it was; -errno. */
static int sniff(struct stream *s, const uint8_t *p, size_t len)
{
	char why[160];
	int r;

	if (buf_put(&s->first, p, len) < 0)
		return -EMSGSIZE;
	r = judge_first(s, why, sizeof(why));
	if (r == JUDGE_MORE)
		return 1;
	if (r == JUDGE_PASS) {
		r = pass_first(s);
		return r < 0 ? r : 1;
	}
	if (r == JUDGE_OPEN || r == JUDGE_OPEN_TLS) {
		(r == JUDGE_OPEN ? open_http : open_tls)(s);
		return 0;
	}
	close_side(s->g, &s->net, true);
	s->rule[0] = '\0';
	judge_refuse(s, 403, "deny", why);
	return 0;
}

/* Moves bytes one way; 1 go on, 0 the stream changed, -errno reset it. */
static int pump(struct stream *s, struct side *from, struct side *to)
{
	struct gate *g = s->g;
	bool up = from == &s->guest;
	int r = 1;

	for (unsigned i = 0; i < READS_PER_EVENT && r == 1; i++) {
		size_t room;
		ssize_t n;

		if (from->eof || buf_len(&to->out))
			return 1;
		if (stream_over_quota(s))
			return -EDQUOT;
		room = stream_may_move(s, up, GATE_SCRATCH);
		if (room == 0)
			return 1;
		n = recv(from->w.fd, g->scratch, room, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 1 : -errno;
		if (n == 0) {
			from->eof = true;
			return up && s->sniffing && buf_len(&s->first) ? -EPROTO
								       : 1;
		}
		if (stream_moved(s, up, (size_t)n))
			return -EDQUOT;
		if (up && s->sniffing) {
			r = sniff(s, g->scratch, (size_t)n);
		} else {
			r = put(to, g->scratch, (size_t)n);
			r = r < 0 ? r : 1;
		}
		if ((size_t)n < room)
			return r;
	}
	return r;
}

static void relay(struct stream *s, struct side *side, uint32_t events)
{
	struct side *other = side == &s->guest ? &s->net : &s->guest;
	int r = 1;

	/*
	 * It has ended and now takes nothing any more either. What it sent
	 * before still reaches the other side.
	 */
	if ((events & (EPOLLHUP | EPOLLERR)) && side->eof) {
		if (buf_len(&other->out) == 0) {
			stream_reset(s, "end", "reset");
			return;
		}
		buf_done(&side->out);
		side->shut = other->eof = true;
		settle(s);
		return;
	}
	if (events & EPOLLOUT)
		r = flush(side) < 0 ? -EPIPE : 1;
	if (r == 1 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = pump(s, side, other);
	if (r == 1)
		settle(s);
	else if (r == -EDQUOT)
		stream_reset(s, "cut", "the network quota is used up");
	else if (r < 0)
		stream_reset(s, "end", strerror(-r));
}

static void read_head(struct stream *s)
{
	ssize_t n = recv(s->guest.w.fd, s->head + s->head_len,
		EGRESS_HEAD - s->head_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		s->g->count.dropped++;
		close_all(s, true);
		return;
	}
	s->head_len += (uint8_t)n;
	if (s->head_len == EGRESS_HEAD)
		judge_head(s);
}

/* Denied: does it speak HTTP, so that it can be told? */
static void read_denied(struct stream *s)
{
	struct buf answer;
	uint8_t first[64];
	ssize_t n = recv(
		s->guest.w.fd, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

	if (buf_len(&s->first) == 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || !deny_speaks_http(first, (size_t)n)) {
			close_all(s, true);
			return;
		}
	}
	buf_init(&answer, 8192);
	deny_answer(s, false, &answer);
	(void)send(s->guest.w.fd, buf_head(&answer), buf_len(&answer),
		MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_done(&answer);
	(void)shutdown(s->guest.w.fd, SHUT_WR);
	s->state = ST_DRAIN;
}

void stream_drain(struct stream *s, const char *verdict)
{
	stream_note(s, verdict, "");
	close_side(s->g, &s->net, false);
	(void)shutdown(s->guest.w.fd, SHUT_WR);
	s->state = ST_DRAIN;
	s->guest.eof = false;
	loop_timer(&s->g->loop, &s->timer, STREAM_DENY_MS, on_timer);
	stream_want(s, &s->guest, EPOLLIN);
}

/* Closing now would take the answer back from a client that still sends. */
static void drain(struct stream *s)
{
	ssize_t n =
		recv(s->guest.w.fd, s->g->scratch, GATE_SCRATCH, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_all(s, true);
}

static void on_guest(struct loop *l, struct watch *w, uint32_t events)
{
	struct stream *s = container_of(w, struct stream, guest.w);

	switch (s->state) {
	case ST_HEAD:
		read_head(s);
		break;
	case ST_ASK:
	case ST_PROXY:
	case ST_LOOKUP:
	case ST_DIAL:
		/* Watched for nothing but the hang-up. */
		stream_reset(s, "end", "the guest gave up");
		break;
	case ST_UDP:
		udp_event(s, &s->guest, events);
		break;
	case ST_KNOCK:
		ports_knock(s);
		break;
	case ST_RELAY:
		relay(s, &s->guest, events);
		break;
	case ST_OPEN:
		open_event(s, &s->guest, events);
		break;
	case ST_DENY:
		read_denied(s);
		break;
	case ST_DRAIN:
		drain(s);
		break;
	case ST_DEAD:
		break;
	}
}

static void on_net(struct loop *l, struct watch *w, uint32_t events)
{
	struct stream *s = container_of(w, struct stream, net.w);

	if (s->state == ST_RELAY)
		relay(s, &s->net, events);
	else if (s->state == ST_OPEN)
		open_event(s, &s->net, events);
	else if (s->state == ST_UDP)
		udp_event(s, &s->net, events);
	else if (s->state == ST_PROXY)
		through_event(s);
}

static void on_timer(struct loop *l, struct timer *t)
{
	struct stream *s = container_of(t, struct stream, timer);

	if (s->state == ST_HEAD)
		s->g->count.dropped++;
	close_all(s, true);
}

struct stream *stream_new(struct gate *g, int fd)
{
	struct stream *s = xnew(struct stream);

	s->g = g;
	s->net.w.fd = -1;
	buf_init(&s->guest.out, GATE_SCRATCH);
	buf_init(&s->net.out, 2u * GATE_SCRATCH);
	buf_init(&s->first, SNI_PEEK_MAX + GATE_SCRATCH);
	if (loop_watch(&g->loop, &s->guest.w, fd, EPOLLIN, on_guest) < 0) {
		closep(&fd);
		free(s);
		return NULL;
	}
	list_add_tail(&g->streams, &s->link);
	g->n_streams++;
	loop_timer(&g->loop, &s->timer, STREAM_HEAD_MS, on_timer);
	return s;
}

void stream_wait(struct stream *s, enum stream_state state)
{
	s->state = state;
	loop_untimer(&s->g->loop, &s->timer);
	loop_rewatch(&s->g->loop, &s->guest.w, 0);
}

void stream_relay(struct stream *s, int fd)
{
	s->state = ST_RELAY;
	s->net.w.fd = fd;
	settle(s);
}

void stream_refuse(struct stream *s)
{
	struct loop *l = &s->g->loop;

	if (s->head[1] == EGRESS_UDP) {
		close_all(s, true);
		return;
	}
	s->state = ST_DENY;
	s->guest.eof = false;
	loop_timer(l, &s->timer, STREAM_DENY_MS, on_timer);
	stream_want(s, &s->guest, EPOLLIN);
	/* It has spoken already. */
	if (s->state == ST_DENY && buf_len(&s->first)) {
		if (deny_speaks_http(buf_head(&s->first), buf_len(&s->first)))
			read_denied(s);
		else
			close_all(s, true);
	}
}

void streams_wake(struct gate *g)
{
	list_for_each_safe (it, &g->streams) {
		struct stream *s = list_entry(it, struct stream, link);

		if (!s->throttled)
			continue;
		s->throttled = false;
		if (s->state == ST_OPEN)
			open_event(s, NULL, 0);
		else
			settle(s);
	}
}

void streams_done(struct gate *g)
{
	while (!list_empty(&g->streams))
		stream_reset(list_entry(g->streams.next, struct stream, link),
			"end", "the gate ends");
}
