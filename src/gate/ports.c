/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/ports.h"

#include "base/fd.h"
#include "gate/peer.h"
#include "gate/stream.h"
#include "gate/udp.h"
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
	bool udp;
	uint64_t cookie; /* which socket it is, whatever its descriptor */
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

int ports_fd(const struct gate *g, uint64_t cookie)
{
	list_for_each (it, &g->ports) {
		const struct port *p = list_entry(it, struct port, link);

		if (p->udp && p->cookie == cookie)
			return p->w.fd;
	}
	return -1;
}

static bool is_published(const struct gate *g, const struct stream *s)
{
	if (s->peer)
		return ports_fd(g, s->peer->port) >= 0;
	list_for_each (it, &g->ports) {
		const struct port *p = list_entry(it, struct port, link);

		if (!p->udp && p->guest == s->port)
			return true;
	}
	return false;
}

static void cut_others(struct gate *g)
{
	list_for_each_safe (it, &g->streams) {
		struct stream *s = list_entry(it, struct stream, link);

		if (s->inbound && !is_published(g, s))
			stream_reset(
				s, "cut", "the port is not published any more");
	}
}

void ports_note(const struct sockaddr_storage *ss, struct address *ret)
{
	const struct sockaddr_in6 *a6 = (const void *)ss;
	const struct sockaddr_in *a4 = (const void *)ss;

	*ret = (struct address){{0}};
	if (ss->ss_family == AF_INET6) {
		memcpy(ret->b, &a6->sin6_addr, 16);
	} else if (ss->ss_family == AF_INET) {
		ret->b[10] = ret->b[11] = 0xff;
		memcpy(ret->b + 12, &a4->sin_addr, 4);
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

struct stream *ports_dial(struct gate *g, uint16_t port, uint8_t proto)
{
	const struct egress_head h = {.proto = proto, .port = port};
	int guest = g->over_quota ? -EDQUOT : connect_guest(g);
	struct stream *s = guest < 0 ? NULL : stream_new(g, guest);

	if (!s)
		return NULL;
	s->inbound = true;
	s->state = ST_KNOCK;
	s->port = port;
	egress_put(s->head, &h);
	loop_timer(&g->loop, &s->timer, KNOCK_MS, on_late);
	return s;
}

static void take(struct port *p, int fd)
{
	struct stream *s = ports_dial(p->g, p->guest, EGRESS_TCP);
	const struct linger now = {1, 0};
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	int one = 1;

	if (!s) {
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		closep(&fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->net.w.fd = fd;
	/* Who connected; for the log. */
	(void)getpeername(fd, (struct sockaddr *)&ss, &len);
	ports_note(&ss, &s->addr);
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
	if (s->peer) {
		udp_serve(s);
		return;
	}
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

static void on_datagram(struct loop *l, struct watch *w, uint32_t events)
{
	struct port *p = container_of(w, struct port, w);

	peer_event(p->g, w->fd, p->cookie, p->guest);
}

static int watch(struct port *p)
{
	return loop_watch(&p->g->loop, &p->w, p->w.fd, EPOLLIN,
		p->udp ? on_datagram : on_listen);
}

void ports_listen(struct gate *g, bool on)
{
	list_for_each (it, &g->ports) {
		struct port *p = list_entry(it, struct port, link);

		if (!on)
			loop_unwatch(&g->loop, &p->w);
		else
			(void)watch(p);
	}
}

struct record {
	uint32_t fd; /* index of a descriptor */
	uint32_t guest;
	uint32_t udp;
};

static int read_port(const struct tlv *t, struct record *ret)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct record rec = {.fd = UINT32_MAX};
	struct tlv f;
	int r;

	while ((r = tlv_next(&it, &f)) > 0) {
		if (f.tag == GP_FD)
			r = tlv_u32(&f, &rec.fd);
		else if (f.tag == GP_GUEST)
			r = tlv_u32(&f, &rec.guest);
		else if (f.tag == GP_UDP)
			r = tlv_u32(&f, &rec.udp);
		if (r < 0)
			return r;
	}
	if (r < 0 || rec.guest == 0 || rec.guest > UINT16_MAX)
		return -EBADMSG;
	*ret = rec;
	return 0;
}

static int add(struct gate *g, const struct tlv *t, int *fds, size_t n_fds)
{
	socklen_t len = sizeof(uint64_t);
	struct record rec;
	struct port *p;
	int r = read_port(t, &rec);

	if (r < 0 || rec.fd >= n_fds || fds[rec.fd] < 0)
		return -EBADMSG;
	r = fd_nonblock(fds[rec.fd], true);
	if (r < 0)
		return r;
	p = xnew(struct port);
	p->g = g;
	p->guest = (uint16_t)rec.guest;
	p->udp = rec.udp != 0;
	p->w.fd = fds[rec.fd];
	if (getsockopt(p->w.fd, SOL_SOCKET, SO_COOKIE, &p->cookie, &len) < 0)
		r = -errno;
	r = r ? r : watch(p);
	if (r < 0) {
		free(p);
		return r;
	}
	fds[rec.fd] = -1;
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
		(void)tlv_put_u32(&b, GP_UDP, p->udp);
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
