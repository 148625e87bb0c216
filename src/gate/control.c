/* SPDX-License-Identifier: Apache-2.0 */
/* What coved says to a running gate (wire/gate.h). */
#include "gate/gate.h"

#include "base/fd.h"
#include "base/log.h"
#include "gate/ask.h"
#include "gate/ports.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void client_close(struct gate *g)
{
	if (g->client.fd < 0)
		return;
	loop_unwatch(&g->loop, &g->client);
	closep(&g->client.fd);
}

static int reply(struct gate *g, uint8_t type, const struct buf *body)
{
	_cleanup_(buf_done) struct buf out;
	int r;

	buf_init(&out, GATE_CONTROL_MAX);
	r = frame_put(&out, type, body ? buf_head(body) : NULL,
		body ? buf_len(body) : 0);
	if (r < 0)
		return r;
	if (send(g->client.fd, buf_head(&out), buf_len(&out),
		    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

static int reply_failed(struct gate *g, const struct err *err)
{
	_cleanup_(buf_done) struct buf b;

	buf_init(&b, GATE_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_u32(&b, GT_ERRNO, (uint32_t)err->code);
	(void)tlv_put_str(&b, GT_TEXT, err->text);
	return reply(g, GF_FAILED, &b);
}

static int reply_stats(struct gate *g)
{
	const struct {
		uint16_t tag;
		uint64_t v;
	} all[] = {
		{GT_STREAMS, g->n_streams},
		{GT_OPENED, g->count.opened},
		{GT_DENIED, g->count.denied},
		{GT_BYTES_UP, g->count.up},
		{GT_BYTES_DOWN, g->count.down},
		{GT_QUERIES, g->count.queries},
	};
	_cleanup_(buf_done) struct buf b;

	buf_init(&b, GATE_CONTROL_MAX - FRAME_HEAD);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		(void)tlv_put_u64(&b, all[i].tag, all[i].v);
	return reply(g, GF_STATS, &b);
}

static int set_limits(struct gate *g, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	uint64_t up = g->up.per_second, down = g->down.per_second;
	uint64_t quota = g->quota;
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) > 0) {
		if (t.tag == GT_RATE_UP)
			r = tlv_u64(&t, &up);
		else if (t.tag == GT_RATE_DOWN)
			r = tlv_u64(&t, &down);
		else if (t.tag == GT_QUOTA)
			r = tlv_u64(&t, &quota);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	gate_limits(g, up, down, quota);
	return reply(g, GF_DONE, NULL);
}

static int set_ports(struct gate *g, const struct frame *f, int *fds, size_t n)
{
	int r = ports_set(g, f->p, f->len, fds, n);

	return r < 0 ? r : reply(g, GF_DONE, NULL);
}

/* What coved did for the guest beside us; the log is one. */
static int take_note(struct gate *g, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	_cleanup_free_ char *target = NULL, *text = NULL;
	uint32_t allow = 0;
	struct tlv t;
	int r = 0;

	while (r == 0 && (r = tlv_next(&it, &t)) > 0) {
		r = 0;
		if (t.tag == GT_TARGET && !target)
			r = tlv_str(&t, 256, &target);
		else if (t.tag == GT_TEXT && !text)
			r = tlv_str(&t, 256, &text);
		else if (t.tag == GT_ALLOW)
			r = tlv_u32(&t, &allow);
	}
	if (r < 0 || !target || !text)
		return -EBADMSG;
	audit_write(&g->audit,
		&(struct audit_entry){.proto = "unix",
			.target = target,
			.path = "ssh-agent",
			.verdict = allow ? "allow" : "deny",
			.rule = "",
			.reason = text});
	return reply(g, GF_DONE, NULL);
}

static int on_record(struct gate *g, const struct buf *in, int *fds, size_t n)
{
	struct err err = {0};
	struct frame f;
	int r = frame_peek(in, &f);

	if (r <= 0 || buf_len(in) != FRAME_HEAD + f.len)
		return -EBADMSG;
	switch (f.type) {
	case GF_POLICY:
		if (n != 1)
			return -EBADMSG;
		if (gate_set_policy(g, fds[0], &err) < 0)
			return reply_failed(g, &err);
		return reply(g, GF_DONE, NULL);
	case GF_KEYS:
		if (n != 1)
			return -EBADMSG;
		if (gate_set_keys(g, fds[0], &err) < 0)
			return reply_failed(g, &err);
		return reply(g, GF_DONE, NULL);
	case GF_LIMITS:
		return set_limits(g, &f);
	case GF_STATS:
		return reply_stats(g);
	case GF_PORTS:
		return set_ports(g, &f, fds, n);
	case GF_PORTS_TAKE:
		return ports_give(g, g->client.fd);
	case GF_NOTE:
		return take_note(g, &f);
	case GF_ANSWER:
		r = ask_answer(g, f.p, f.len);
		return r < 0 ? r : reply(g, GF_DONE, NULL);
	default:
		return -EBADMSG;
	}
}

static void on_client(struct loop *l, struct watch *w, uint32_t events)
{
	struct gate *g = container_of(w, struct gate, client);
	_cleanup_(buf_done) struct buf in;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	ssize_t n;

	buf_init(&in, GATE_CONTROL_MAX);
	n = sock_recv_fds(w->fd, buf_reserve(&in, GATE_CONTROL_MAX),
		GATE_CONTROL_MAX, fds, FD_PASS_MAX, &n_fds);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n > 0)
		buf_add(&in, (size_t)n);
	if (n <= 0 || on_record(g, &in, fds, n_fds) < 0)
		client_close(g);
	for (size_t i = 0; i < n_fds; i++)
		closep(&fds[i]);
}

/* The newest coved is the one that lives. */
static void on_connect(struct loop *l, struct watch *w, uint32_t events)
{
	struct gate *g = container_of(w, struct gate, control);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t uid;

	if (fd < 0)
		return;
	if (sock_peer_uid(fd, &uid) < 0 || uid != g->uid) {
		closep(&fd);
		return;
	}
	client_close(g);
	if (loop_watch(l, &g->client, fd, EPOLLIN, on_client) < 0) {
		closep(&fd);
		g->client.fd = -1;
	}
}

int control_init(struct gate *g, struct err *err)
{
	int r = fd_nonblock(g->birth.control, true);

	r = r ? r
	      : loop_watch(&g->loop, &g->control, g->birth.control, EPOLLIN,
			on_connect);
	return r < 0 ? err_sys(err, -r, "control socket") : 0;
}

void control_done(struct gate *g)
{
	client_close(g);
	loop_unwatch(&g->loop, &g->control);
}

int control_send(struct gate *g, uint8_t type, const struct buf *body)
{
	return g->client.fd < 0 ? -ENOTCONN : reply(g, type, body);
}

void control_event(struct gate *g, const char *event, const char *text)
{
	_cleanup_(buf_done) struct buf b;

	if (g->client.fd < 0)
		return;
	buf_init(&b, GATE_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_str(&b, GT_EVENT, event);
	(void)tlv_put_str(&b, GT_TEXT, text);
	if (reply(g, GF_EVENT, &b) < 0)
		log_debug("event %s was not taken", event);
}
