/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/ports.h"

#include "base/fd.h"
#include "gate/stream.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ACCEPT_BATCH 64u
#define KNOCK_MS 10000u /* the device server answers, or the guest is gone */

struct port {
	struct list link;
	struct gate *g;
	struct watch w;
	uint16_t guest;
	struct task free_task;
};

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct port, free_task));
}

static void port_close(struct port *p)
{
	loop_unwatch(&p->g->loop, &p->w);
	closep(&p->w.fd);
	list_del(&p->link);
	loop_defer(&p->g->loop, &p->free_task, free_later);
}

static bool is_published(const struct gate *g, uint16_t guest)
{
	list_for_each (it, &g->ports)
		if (list_entry(it, struct port, link)->guest == guest)
			return true;
	return false;
}

static void cut_others(struct gate *g)
{
	list_for_each_safe (it, &g->streams) {
		struct stream *s = list_entry(it, struct stream, link);

		if (s->inbound && !is_published(g, s->port))
			stream_reset(
				s, "cut", "the port is not published any more");
	}
}

/* Who connected; for the log. */
static void note_peer(int fd, struct address *ret)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);

	*ret = (struct address){{0}};
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return;
	if (ss.ss_family == AF_INET6) {
		memcpy(ret->b, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	} else if (ss.ss_family == AF_INET) {
		ret->b[10] = ret->b[11] = 0xff;
		memcpy(ret->b + 12, &((struct sockaddr_in *)&ss)->sin_addr, 4);
	}
}

/* Never waits: a device server with a full backlog refuses. */
static int connect_guest(const struct gate *g)
{
	_cleanup_close_ int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char text[32];
	int len;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path),
		"/proc/self/fd/%d/vsock.sock", g->birth.run);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "CONNECT %u\n", PORT_INBOUND);
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return -ECONNREFUSED;
	return TAKE_FD(fd);
}

static void on_late(struct loop *l, struct timer *t)
{
	stream_reset(container_of(t, struct stream, timer), "error",
		"the guest does not answer");
}

static void take(struct port *p, int fd)
{
	const struct egress_head h = {.proto = EGRESS_TCP, .port = p->guest};
	struct gate *g = p->g;
	const struct linger now = {1, 0};
	int guest = g->over_quota ? -EDQUOT : connect_guest(g);
	struct stream *s;
	int one = 1;

	if (guest < 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		closep(&fd);
		return;
	}
	s = stream_new(g, guest);
	if (!s) {
		closep(&fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->inbound = true;
	s->state = ST_KNOCK;
	s->port = p->guest;
	s->net.w.fd = fd;
	egress_put(s->head, &h);
	note_peer(fd, &s->addr);
	loop_timer(&g->loop, &s->timer, KNOCK_MS, on_late);
}

/* "OK <digits>\n", not a byte more: what follows is the guest's. */
static int read_ok(struct stream *s)
{
	char text[32];
	ssize_t n = recv(
		s->guest.w.fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);
	const char *nl = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0 || (!nl && (size_t)n == sizeof(text)))
		return -ECONNREFUSED;
	if (!nl)
		return 0;
	len = (size_t)(nl - text) + 1;
	if (len < 5 || memcmp(text, "OK ", 3) != 0)
		return -ECONNREFUSED;
	for (size_t i = 3; i < len - 1; i++)
		if (text[i] < '0' || text[i] > '9')
			return -ECONNREFUSED;
	return recv(s->guest.w.fd, text, len, MSG_DONTWAIT) == (ssize_t)len
		? 1
		: -ECONNREFUSED;
}

void ports_knock(struct stream *s)
{
	int r = read_ok(s);

	if (r == 0)
		return;
	if (r > 0 &&
		send(s->guest.w.fd, s->head, EGRESS_HEAD,
			MSG_NOSIGNAL | MSG_DONTWAIT) != EGRESS_HEAD)
		r = -EPIPE;
	if (r < 0) {
		stream_reset(s, "error", "the guest does not answer");
		return;
	}
	loop_untimer(&s->g->loop, &s->timer);
	s->g->count.opened++;
	stream_note(s, "allow", "");
	stream_relay(s, s->net.w.fd);
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct port *p = container_of(w, struct port, w);

	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(
			w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			gate_pause(p->g);
		if (fd < 0)
			return;
		if (p->g->n_streams >= GATE_STREAMS_MAX) {
			p->g->count.dropped++;
			close(fd);
			continue;
		}
		take(p, fd);
	}
}

void ports_listen(struct gate *g, bool on)
{
	list_for_each (it, &g->ports) {
		struct port *p = list_entry(it, struct port, link);

		if (!on)
			loop_unwatch(&g->loop, &p->w);
		else
			(void)loop_watch(
				&g->loop, &p->w, p->w.fd, EPOLLIN, on_listen);
	}
}

static int read_port(const struct tlv *t, uint32_t *ret_fd, uint32_t *ret_guest)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	uint32_t fd = UINT32_MAX, guest = 0;
	struct tlv f;
	int r;

	while ((r = tlv_next(&it, &f)) > 0) {
		if (f.tag == GP_FD)
			r = tlv_u32(&f, &fd);
		else if (f.tag == GP_GUEST)
			r = tlv_u32(&f, &guest);
		if (r < 0)
			return r;
	}
	if (r < 0 || guest == 0 || guest > UINT16_MAX)
		return -EBADMSG;
	*ret_fd = fd;
	*ret_guest = guest;
	return 0;
}

static int add(struct gate *g, const struct tlv *t, int *fds, size_t n_fds)
{
	struct port *p;
	uint32_t i, guest;
	int r = read_port(t, &i, &guest);

	if (r < 0 || i >= n_fds || fds[i] < 0)
		return -EBADMSG;
	r = fd_nonblock(fds[i], true);
	if (r < 0)
		return r;
	p = xnew(struct port);
	p->g = g;
	p->guest = (uint16_t)guest;
	r = loop_watch(&g->loop, &p->w, fds[i], EPOLLIN, on_listen);
	if (r < 0) {
		free(p);
		return r;
	}
	fds[i] = -1;
	list_add_tail(&g->ports, &p->link);
	return 0;
}

int ports_set(
	struct gate *g, const void *body, size_t len, int *fds, size_t n_fds)
{
	struct tlv_iter it = tlv_iter(body, len);
	struct tlv t;
	int r;

	ports_done(g);
	while ((r = tlv_next(&it, &t)) > 0) {
		if (t.tag != GT_PORT)
			continue;
		r = add(g, &t, fds, n_fds);
		if (r < 0)
			break;
	}
	cut_others(g);
	return r;
}

int ports_give(struct gate *g, int sock)
{
	_cleanup_(buf_done) struct buf b;
	int fds[FD_PASS_MAX];
	uint32_t n = 0;

	buf_init(&b, GATE_CONTROL_MAX);
	(void)buf_reserve(&b, FRAME_HEAD);
	buf_add(&b, FRAME_HEAD);
	list_for_each (it, &g->ports) {
		const struct port *p = list_entry(it, struct port, link);
		size_t mark;

		if (n == FD_PASS_MAX)
			break;
		mark = tlv_begin(&b, GT_PORT);
		(void)tlv_put_u32(&b, GP_FD, n);
		(void)tlv_put_u32(&b, GP_GUEST, p->guest);
		tlv_end(&b, mark);
		fds[n++] = p->w.fd;
	}
	frame_head(
		b.data + b.off, GF_PORTS, (uint32_t)(buf_len(&b) - FRAME_HEAD));
	return sock_send_fds(sock, buf_head(&b), buf_len(&b), fds, n);
}

void ports_done(struct gate *g)
{
	list_for_each_safe (it, &g->ports)
		port_close(list_entry(it, struct port, link));
}
