/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net.h"

#include "agent/modules.h"
#include "agent/net_setup.h"
#include "agent/net_udp.h"
#include "agent/vsock.h"
#include "base/buf.h"
#include "base/fd.h"
#include "wire/egress.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define ACCEPT_BATCH 64u
#define BACKLOG 1024
#define READS_PER_EVENT 4u
#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST */
#define DNS_PORT 53u
#define DNS_MAX 4096u
#define QUERY_MS 10000u

/* One side. out: what must still be written to it. */
struct side {
	struct watch w;
	struct buf out;
	bool eof;
	bool shut;
};

struct flow {
	struct list link;
	struct net *net;
	struct side app, gate;
	bool connected;
	struct task free_task;
};

static void on_app(struct loop *l, struct watch *w, uint32_t events);
static void on_gate(struct loop *l, struct watch *w, uint32_t events);

static void flow_free(struct loop *l, struct task *t)
{
	struct flow *f = container_of(t, struct flow, free_task);

	buf_done(&f->app.out);
	buf_done(&f->gate.out);
	free(f);
}

static void flow_close(struct flow *f, bool reset)
{
	const struct linger now = {1, 0};
	struct net *n = f->net;

	if (reset)
		(void)setsockopt(
			f->app.w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	loop_unwatch(n->loop, &f->app.w);
	loop_unwatch(n->loop, &f->gate.w);
	closep(&f->app.w.fd);
	closep(&f->gate.w.fd);
	list_del(&f->link);
	n->n_flows--;
	loop_defer(n->loop, &f->free_task, flow_free);
}

/* See want() in gate/stream.c: a side that is not read is not watched. */
static void want(struct flow *f, struct side *side, uint32_t events)
{
	struct loop *l = f->net->loop;

	if (events == 0 && (!side->eof || side->shut))
		loop_unwatch(l, &side->w);
	else if (side->w.active)
		loop_rewatch(l, &side->w, events);
	else
		(void)loop_watch(l, &side->w, side->w.fd, events,
			side == &f->app ? on_app : on_gate);
}

static void settle(struct flow *f)
{
	struct side *sides[] = {&f->app, &f->gate};

	for (size_t i = 0; i < 2; i++) {
		struct side *to = sides[i], *from = sides[1 - i];

		if (!from->eof || to->shut || buf_len(&to->out))
			continue;
		to->shut = true;
		(void)shutdown(to->w.fd, SHUT_WR);
	}
	if (f->app.shut && f->gate.shut) {
		flow_close(f, false);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		struct side *s = sides[i], *to = sides[1 - i];
		bool in = !s->eof && buf_len(&to->out) == 0 && f->connected;

		want(f, s,
			(in ? EPOLLIN : 0u) |
				(buf_len(&s->out) ? EPOLLOUT : 0u));
	}
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
		buf_done(&to->out);
	return 0;
}

static int put(struct side *to, const uint8_t *p, size_t len)
{
	ssize_t n = send(to->w.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	n = MAX(n, 0);
	return (size_t)n == len ? 0 : buf_put(&to->out, p + n, len - (size_t)n);
}

static int pump(struct flow *f, struct side *from, struct side *to)
{
	uint8_t *p = f->net->scratch;

	for (unsigned i = 0; i < READS_PER_EVENT; i++) {
		ssize_t n;
		int r;

		if (from->eof || buf_len(&to->out))
			return 0;
		n = recv(from->w.fd, p, NET_SCRATCH, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0) {
			from->eof = true;
			return 0;
		}
		r = put(to, p, (size_t)n);
		if (r < 0 || (size_t)n < NET_SCRATCH)
			return r;
	}
	return 0;
}

static void relay(struct flow *f, struct side *side, uint32_t events)
{
	struct side *other = side == &f->app ? &f->gate : &f->app;
	int r = 0;

	if ((events & (EPOLLHUP | EPOLLERR)) && side->eof) {
		if (buf_len(&other->out) == 0) {
			flow_close(f, true);
			return;
		}
		buf_done(&side->out);
		side->shut = other->eof = true;
		settle(f);
		return;
	}
	if (events & EPOLLOUT)
		r = flush(side);
	if (r == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = pump(f, side, other);
	if (r < 0)
		flow_close(f, true);
	else
		settle(f);
}

static void on_app(struct loop *l, struct watch *w, uint32_t events)
{
	struct flow *f = container_of(w, struct flow, app.w);

	if (f->connected)
		relay(f, &f->app, events);
	else
		flow_close(f, true); /* gave up before there was a gate */
}

static void on_gate(struct loop *l, struct watch *w, uint32_t events)
{
	struct flow *f = container_of(w, struct flow, gate.w);

	if (!f->connected && (events & (EPOLLHUP | EPOLLERR))) {
		flow_close(f, true);
		return;
	}
	f->connected = true;
	relay(f, &f->gate, events);
}

/* Opens the stream for an accepted connection; head is what it begins with. */
static void flow_new(
	struct net *n, int fd, uint32_t port, const uint8_t *head, size_t len)
{
	struct flow *f = xnew(struct flow);
	int one = 1, gate = -1;

	f->net = n;
	buf_init(&f->app.out, NET_SCRATCH);
	buf_init(&f->gate.out, NET_SCRATCH);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (vsock_dial(port, &gate) < 0 ||
		loop_watch(n->loop, &f->app.w, fd, 0, on_app) < 0) {
		closep(&gate);
		closep(&fd);
		free(f);
		return;
	}
	(void)buf_put(&f->gate.out, head, len);
	list_add_tail(&n->flows, &f->link);
	n->n_flows++;
	if (loop_watch(n->loop, &f->gate.w, gate, EPOLLOUT, on_gate) < 0) {
		f->gate.w.fd = gate;
		flow_close(f, true);
	}
}

void net_relay(struct net *n, int app, int gate)
{
	struct flow *f = xnew(struct flow);

	f->net = n;
	f->connected = true;
	buf_init(&f->app.out, NET_SCRATCH);
	buf_init(&f->gate.out, NET_SCRATCH);
	f->app.w.fd = app;
	f->gate.w.fd = gate;
	list_add_tail(&n->flows, &f->link);
	settle(f);
}

void net_dial(struct net *n, int fd, uint32_t port)
{
	if (n->n_flows < NET_FLOWS_MAX)
		flow_new(n, fd, port, NULL, 0);
	else
		closep(&fd);
}

/* Where it wanted to go before the redirect; false: it was not redirected. */
static bool original(int fd, bool v6, struct egress_head *h)
{
	struct sockaddr_in a4;
	struct sockaddr_in6 a6;
	socklen_t len = v6 ? sizeof(a6) : sizeof(a4);

	*h = (struct egress_head){.proto = EGRESS_TCP};
	if (getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, ORIGINAL_DST,
		    v6 ? (void *)&a6 : (void *)&a4, &len) < 0)
		return false;
	if (v6) {
		h->port = ntohs(a6.sin6_port);
		memcpy(h->addr, &a6.sin6_addr, 16);
	} else {
		h->port = ntohs(a4.sin_port);
		h->addr[10] = h->addr[11] = 0xff;
		memcpy(h->addr + 12, &a4.sin_addr, 4);
	}
	return h->port != 0;
}

static void take(struct net *n, int fd, bool v6)
{
	uint8_t head[EGRESS_HEAD];
	struct egress_head h;

	if (!original(fd, v6, &h)) {
		closep(&fd);
		return;
	}
	egress_put(head, &h);
	flow_new(n, fd, PORT_EGRESS, head, sizeof(head));
}

static int accept_one(struct net *n, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && n->n_flows >= NET_FLOWS_MAX) {
		close(fd);
		return -EAGAIN;
	}
	return fd;
}

static void on_v4(struct loop *l, struct watch *w, uint32_t events)
{
	struct net *n = container_of(w, struct net, v4);
	int fd;

	for (unsigned i = 0; i < ACCEPT_BATCH; i++)
		if ((fd = accept_one(n, w->fd)) >= 0)
			take(n, fd, false);
		else
			return;
}

static void on_v6(struct loop *l, struct watch *w, uint32_t events)
{
	struct net *n = container_of(w, struct net, v6);
	int fd;

	for (unsigned i = 0; i < ACCEPT_BATCH; i++)
		if ((fd = accept_one(n, w->fd)) >= 0)
			take(n, fd, true);
		else
			return;
}

/* The framing is the same on both sides: bytes are passed on. */
static void on_dns_tcp(struct loop *l, struct watch *w, uint32_t events)
{
	struct net *n = container_of(w, struct net, dns4);
	int fd = accept_one(n, w->fd);

	if (fd >= 0)
		flow_new(n, fd, PORT_DNS, NULL, 0);
}

/* ---- DNS on UDP: one stream a question ---- */

struct query {
	struct list link;
	struct net *net;
	struct watch w;
	struct sockaddr_in from;
	struct timer timer;
	struct task free_task;
	bool sent;
	size_t out_len, in_len;
	uint8_t out[2 + 512];
	uint8_t in[2 + 512];
};

static void query_free(struct loop *l, struct task *t)
{
	free(container_of(t, struct query, free_task));
}

static void query_close(struct query *q)
{
	struct net *n = q->net;

	loop_unwatch(n->loop, &q->w);
	closep(&q->w.fd);
	loop_untimer(n->loop, &q->timer);
	list_del(&q->link);
	n->n_queries--;
	loop_defer(n->loop, &q->free_task, query_free);
}

static void query_late(struct loop *l, struct timer *t)
{
	query_close(container_of(t, struct query, timer));
}

static void read_answer(struct query *q)
{
	ssize_t n = recv(q->w.fd, q->in + q->in_len, sizeof(q->in) - q->in_len,
		MSG_DONTWAIT);
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		query_close(q);
		return;
	}
	q->in_len += (size_t)n;
	len = q->in_len < 2 ? 0 : (size_t)q->in[0] << 8 | q->in[1];
	if (q->in_len < 2 || (q->in_len < 2 + len && q->in_len < sizeof(q->in)))
		return;
	if (q->in_len >= 2 + len)
		(void)sendto(q->net->udp.fd, q->in + 2, len, MSG_DONTWAIT,
			(struct sockaddr *)&q->from, sizeof(q->from));
	query_close(q);
}

static void on_query(struct loop *l, struct watch *w, uint32_t events)
{
	struct query *q = container_of(w, struct query, w);

	if (!q->sent) {
		if (send(w->fd, q->out, q->out_len,
			    MSG_NOSIGNAL | MSG_DONTWAIT) !=
			(ssize_t)q->out_len) {
			query_close(q);
			return;
		}
		q->sent = true;
		loop_rewatch(l, w, EPOLLIN);
		return;
	}
	read_answer(q);
}

static void query_new(struct net *n, const uint8_t *p, size_t len,
	const struct sockaddr_in *from)
{
	struct query *q;
	int fd = -1;

	if (len > sizeof(q->out) - 2 || n->n_queries >= NET_QUERIES_MAX ||
		vsock_dial(PORT_DNS, &fd) < 0)
		return;
	q = xnew(struct query);
	q->net = n;
	q->from = *from;
	q->out[0] = (uint8_t)(len >> 8);
	q->out[1] = (uint8_t)len;
	memcpy(q->out + 2, p, len);
	q->out_len = len + 2;
	if (loop_watch(n->loop, &q->w, fd, EPOLLOUT, on_query) < 0) {
		closep(&fd);
		free(q);
		return;
	}
	list_add_tail(&n->queries, &q->link);
	n->n_queries++;
	modules_hurry(); /* a connection follows, to the redirect */
	loop_timer(n->loop, &q->timer, QUERY_MS, query_late);
}

static void on_udp(struct loop *l, struct watch *w, uint32_t events)
{
	struct net *n = container_of(w, struct net, udp);
	struct sockaddr_in from;

	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		socklen_t size = sizeof(from);
		ssize_t len = recvfrom(w->fd, n->scratch, DNS_MAX, MSG_DONTWAIT,
			(struct sockaddr *)&from, &size);

		if (len < 0)
			return;
		if (size == sizeof(from))
			query_new(n, n->scratch, (size_t)len, &from);
	}
}

/* ---- start ---- */

static int listen_at(struct net *n, struct watch *w, int type,
	const struct sockaddr *sa, socklen_t len, watch_fn *fn)
{
	_cleanup_close_ int fd =
		socket(sa->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, r;

	if (fd < 0)
		return -errno;
	if (sa->sa_family == AF_INET6)
		(void)setsockopt(
			fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (type == SOCK_STREAM)
		(void)setsockopt(
			fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa, len) < 0)
		return -errno;
	if (type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		return -errno;
	r = loop_watch(n->loop, w, fd, EPOLLIN, fn);
	if (r == 0)
		(void)TAKE_FD(fd);
	return r;
}

static int listen_all(struct net *n)
{
	struct sockaddr_in a4 = {
		.sin_family = AF_INET, .sin_port = htons(NET_PORT)};
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(NET_PORT)};
	int r;

	r = listen_at(n, &n->v4, SOCK_STREAM, (struct sockaddr *)&a4,
		sizeof(a4), on_v4);
	r = r ? r
	      : listen_at(n, &n->v6, SOCK_STREAM, (struct sockaddr *)&a6,
			sizeof(a6), on_v6);
	a4.sin_port = htons(DNS_PORT);
	(void)inet_pton(AF_INET, NET_V4, &a4.sin_addr);
	r = r ? r
	      : listen_at(n, &n->dns4, SOCK_STREAM, (struct sockaddr *)&a4,
			sizeof(a4), on_dns_tcp);
	return r ? r
		 : listen_at(n, &n->udp, SOCK_DGRAM, (struct sockaddr *)&a4,
			   sizeof(a4), on_udp);
}

int net_start(struct net *n, struct loop *loop, struct err *err)
{
	int tun = -1, r;

	if (n->scratch)
		return 0; /* the host configures a second time */
	n->loop = loop;
	list_init(&n->flows);
	list_init(&n->queries);
	list_init(&n->inbounds);
	n->scratch = xcalloc(1, NET_SCRATCH);
	r = net_setup(&tun, err);
	if (r < 0)
		return err_wrap(err, "network");
	r = udp_start(n, tun);
	if (r < 0) {
		closep(&tun);
		return err_sys(err, -r, "network: UDP");
	}
	r = listen_all(n);
	r = r ? r : net_in_start(n);
	if (r < 0)
		return err_sys(err, -r, "network: listen");
	return net_resolv_conf("", err);
}
