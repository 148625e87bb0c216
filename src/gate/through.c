/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/through.h"

#include "gate/judge.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define TALK_MS 30000u

bool through_wants(const struct stream *s)
{
	return upstream_wants(
		&s->g->upstream, s->by_name ? &s->name : NULL, &s->addr);
}

static void fail(struct stream *s, const char *why)
{
	stream_drop_net(s);
	judge_refuse(s, 502, "error", why);
}

static void on_late(struct loop *l, struct timer *t)
{
	fail(container_of(t, struct stream, timer),
		"the host's proxy does not answer");
}

/* What we say is far shorter than what a socket takes at once. */
static bool say(struct stream *s)
{
	char target[NAME_MAX_LEN + 1];
	_cleanup_(buf_done) struct buf b;
	size_t n;

	buf_init(&b, 4096);
	upstream_say(&s->g->upstream, s->step,
		stream_target(s, target, sizeof(target)), s->port, &b);
	n = buf_len(&b);
	return send(s->net.w.fd, buf_head(&b), n,
		       MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

static void on_dialled(void *arg, int fd, const struct address *addr)
{
	struct stream *s = arg;
	char why[160];

	s->dial = NULL;
	if (fd < 0) {
		(void)snprintf(why, sizeof(why),
			"cannot connect to the host's proxy: %s",
			strerror(-fd));
		judge_refuse(s, 502, "error", why);
		return;
	}
	s->state = ST_PROXY;
	s->net.w.fd = fd;
	s->step = 0;
	loop_timer(&s->g->loop, &s->timer, TALK_MS, on_late);
	stream_want(s, &s->net, EPOLLIN);
	if (s->state == ST_PROXY && !say(s))
		fail(s, "the host's proxy does not listen");
}

static void dial(struct stream *s, const struct address *addrs, size_t n)
{
	stream_wait(s, ST_DIAL);
	s->dial = dial_new(&s->g->loop, addrs, MIN(n, (size_t)DIAL_MAX),
		s->g->upstream.port, on_dialled, s);
}

static void on_lookup(struct lookup *l, const struct address *addrs, size_t n,
	const char *why)
{
	struct stream *s = container_of(l, struct stream, lookup);
	char text[160];

	if (n > 0) {
		dial(s, addrs, n);
		return;
	}
	(void)snprintf(
		text, sizeof(text), "cannot resolve the host's proxy: %s", why);
	judge_refuse(s, 502, "error", text);
}

void through_dial(struct stream *s)
{
	const struct upstream *u = &s->g->upstream;

	s->through = true;
	if (u->name.len)
		lookup_begin(s->g->resolver, &s->lookup, &u->name, on_lookup);
	else
		dial(s, &u->addr, 1);
}

static void open_now(struct stream *s)
{
	int fd = s->net.w.fd;

	loop_untimer(&s->g->loop, &s->timer);
	s->g->count.opened++;
	stream_note(s, "allow", "");
	stream_relay(s, fd);
}

void through_event(struct stream *s)
{
	uint8_t p[UPSTREAM_ANSWER_MAX];
	char why[160];
	size_t used;
	ssize_t n = recv(s->net.w.fd, p, sizeof(p), MSG_PEEK | MSG_DONTWAIT);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(s, "the host's proxy hung up");
		return;
	}
	r = upstream_hear(&s->g->upstream, s->step, p, (size_t)n, &used, why,
		sizeof(why));
	/* What follows is the target's and stays where it is. */
	if (r > 0 && recv(s->net.w.fd, p, used, 0) != (ssize_t)used)
		r = -EIO;
	if (r == 1) {
		s->step++;
		r = say(s) ? 0 : -EPIPE;
	}
	if (r < 0)
		fail(s, why);
	else if (r == 2)
		open_now(s);
}
