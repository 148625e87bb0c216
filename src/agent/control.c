/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include "agent/system.h"
#include "agent/vsock.h"
#include "base/log.h"
#include "copy/reply.h"
#include "wire/agent.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#define REDIAL_MIN_MS 100u
#define REDIAL_MAX_MS 5000u
#define WAITING_MAX 8192u /* bytes of events; later ones are dropped */
#define SHUTDOWN_DEFAULT_MS 10000u

void control_init(struct control *c, struct loop *l,
	const struct control_ops *ops, void *arg)
{
	*c = (struct control){
		.loop = l,
		.ops = ops,
		.arg = arg,
		.dial_fd = -1,
		.redial_ms = REDIAL_MIN_MS,
	};
	c->stream.fd = -1;
	buf_init(&c->waiting, WAITING_MAX);
}

static void drop_stream(struct control *c)
{
	stream_close(&c->stream);
	c->open = false;
}

static void drop_dial(struct control *c)
{
	loop_unwatch(c->loop, &c->dial_watch);
	closep(&c->dial_fd);
	loop_untimer(c->loop, &c->redial);
}

void control_done(struct control *c)
{
	drop_stream(c);
	drop_dial(c);
	buf_done(&c->waiting);
}

static void redial_due(struct loop *l, struct timer *t)
{
	control_dial(container_of(t, struct control, redial));
}

/* The host may be between two coveds: wait a little longer each time. */
static void dial_again(struct control *c)
{
	loop_timer(c->loop, &c->redial, c->redial_ms, redial_due);
	c->redial_ms = MIN(c->redial_ms * 2, REDIAL_MAX_MS);
}

static void lost(struct control *c)
{
	drop_stream(c);
	if (!c->configured)
		dial_again(c);
}

/* ---- answers ---- */

static void put(struct control *c, uint8_t type, struct buf *body, int r)
{
	if (r == 0)
		r = stream_send_frame(
			&c->stream, type, buf_head(body), buf_len(body));
	buf_done(body);
	if (r < 0) {
		log_warn("control stream: %s", strerror(-r));
		lost(c);
	}
}

static void send_hello(struct control *c)
{
	struct utsname u;
	struct buf b;
	int r;

	buf_init(&b, 512);
	(void)uname(&u);
	r = tlv_put_u32(&b, AT_VERSION, WIRE_VERSION);
	r = r ? r : tlv_put_str(&b, AT_KERNEL, u.release);
	r = r ? r : tlv_put_u64(&b, AT_UPTIME_MS, system_uptime_ms());
	put(c, AF_HELLO, &b, r);
	if (c->open)
		c->ops->greeted(c->arg);
}

static void send_ready(struct control *c)
{
	struct buf b;
	int r;

	buf_init(&b, 64);
	r = tlv_put_u64(&b, AT_UPTIME_MS, system_uptime_ms());
	put(c, AF_READY, &b, r);
}

static void send_failed(struct control *c, const struct err *why)
{
	struct buf b;

	buf_init(&b, 2 * ERR_TEXT_MAX);
	if (reply_failed(&b, why->code, why->text) < 0 ||
		stream_send(&c->stream, buf_head(&b), buf_len(&b)) < 0)
		lost(c);
	buf_done(&b);
}

static void send_pong(struct control *c, uint32_t id)
{
	uint64_t total, available;
	struct buf b;
	int r;

	system_memory(&total, &available);
	buf_init(&b, 256);
	r = tlv_put_u32(&b, AT_ID, id);
	r = r ? r : tlv_put_u64(&b, AT_UPTIME_MS, system_uptime_ms());
	r = r ? r : tlv_put_u64(&b, AT_MEM_TOTAL, total);
	r = r ? r : tlv_put_u64(&b, AT_MEM_FREE, available);
	put(c, AF_PONG, &b, r);
}

static void send_waiting(struct control *c)
{
	struct buf *w = &c->waiting;

	if (!c->open || !c->configured || !buf_len(w))
		return;
	if (stream_send(&c->stream, buf_head(w), buf_len(w)) < 0)
		lost(c);
	buf_clear(w);
}

void control_event(struct control *c, const char *type, const char *text)
{
	struct buf b;
	int r;

	log_info("event %s: %s", type, text);
	buf_init(&b, 1024);
	r = tlv_put_str(&b, AT_EVENT, type);
	r = r ? r : tlv_put_str(&b, AT_TEXT, text);
	r = r ? r : frame_put(&c->waiting, AF_EVENT, buf_head(&b), buf_len(&b));
	buf_done(&b);
	if (r == 0)
		send_waiting(c);
}

/* ---- requests ---- */

/* Of a body with one number of interest; fallback when it is not there. */
static uint64_t number(const struct frame *f, uint16_t tag, uint64_t fallback)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct tlv t;
	uint32_t v;

	while (tlv_next(&it, &t) == 1) {
		if (t.tag != tag)
			continue;
		if (tlv_u32(&t, &v) == 0)
			fallback = v;
		else
			(void)tlv_u64(&t, &fallback);
	}
	return fallback;
}

static void on_config(struct control *c, const struct frame *f)
{
	struct err err = {0};

	if (c->configured)
		return;
	if (c->ops->config(c->arg, f->p, f->len, &err) < 0) {
		log_error("%s", err.text);
		send_failed(c, &err);
		return;
	}
	c->configured = true;
	send_ready(c);
	send_waiting(c);
}

static void on_frame(struct control *c, const struct frame *f)
{
	switch (f->type) {
	case AF_CONFIG:
		on_config(c, f);
		break;
	case AF_SHUTDOWN:
		c->ops->shutdown(
			c->arg, number(f, AT_TIMEOUT_MS, SHUTDOWN_DEFAULT_MS));
		break;
	case AF_PING:
		c->ops->ping(c->arg);
		if (c->open)
			send_pong(c, (uint32_t)number(f, AT_ID, 0));
		break;
	case AF_CLOCK:
		c->ops->clock(c->arg, number(f, AT_REALTIME_NS, 0));
		break;
	default: /* of a newer host */
		break;
	}
}

static void parse(struct control *c)
{
	struct stream *s = &c->stream;
	struct frame f;
	int r = 0;

	while (c->open && (r = frame_peek(&s->in, &f)) == 1) {
		on_frame(c, &f);
		if (c->open)
			buf_consume(&s->in, FRAME_HEAD + f.len);
	}
	if (c->open && r < 0) {
		log_warn("control stream: no frame");
		lost(c);
	}
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct control *c = container_of(w, struct control, stream.watch);
	ssize_t n;

	if ((events & EPOLLOUT) && stream_flush(&c->stream) < 0) {
		lost(c);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)))
		return;
	n = stream_fill(&c->stream);
	if (n == -EAGAIN)
		return;
	if (n <= 0)
		lost(c);
	else
		parse(c);
}

static bool open_stream(struct control *c, int fd)
{
	if (stream_open(&c->stream, c->loop, fd, on_event) < 0)
		return false;
	c->open = true;
	c->redial_ms = REDIAL_MIN_MS;
	return true;
}

static void dial_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct control *c = container_of(w, struct control, dial_watch);
	int code = 0;
	socklen_t len = sizeof(code);
	int fd;

	(void)getsockopt(c->dial_fd, SOL_SOCKET, SO_ERROR, &code, &len);
	loop_unwatch(l, w);
	fd = TAKE_FD(c->dial_fd);
	if (code) {
		close(fd);
		dial_again(c);
	} else if (open_stream(c, fd)) {
		send_hello(c);
	}
}

void control_dial(struct control *c)
{
	int r = vsock_dial(PORT_CONTROL, &c->dial_fd);

	if (r == 0)
		r = loop_watch(c->loop, &c->dial_watch, c->dial_fd, EPOLLOUT,
			dial_event);
	if (r < 0) {
		log_warn("dial the host: %s", strerror(-r));
		closep(&c->dial_fd);
		dial_again(c);
	}
}

void control_resume(struct control *c, int fd, struct buf in)
{
	drop_stream(c);
	drop_dial(c);
	if (!open_stream(c, fd)) {
		buf_done(&in);
		return;
	}
	buf_done(&c->stream.in);
	c->stream.in = in;
	if (!c->configured)
		send_hello(c);
	send_waiting(c);
	if (c->open)
		parse(c);
}
