/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published ports: the gate opens a stream, says a port, and gets a connection
 * to that port of our own loopback: over IPv4, or IPv6 when nobody listens
 * there. What answers in the guest sees 127.0.0.1 or ::1. Those of UDP go on
 * in net_in_udp.c.
 */
#include "agent/net.h"

#include "agent/vsock.h"
#include "base/fd.h"
#include "wire/egress.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define INBOUND_MS 30000u /* for the header and the connection */
#define ACCEPT_BATCH 64u

struct inbound {
	struct list link;
	struct net *net;
	struct watch gate, app; /* app.fd -1 until the header is complete */
	struct timer timer;
	struct task free_task;
	uint16_t port;
	unsigned tries;
	uint8_t head[EGRESS_HEAD];
	size_t head_len;
};

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct inbound, free_task));
}

/* Lets go of the descriptors; closes those that nobody took. */
static void done(struct inbound *in)
{
	struct loop *l = in->net->loop;

	loop_unwatch(l, &in->gate);
	loop_unwatch(l, &in->app);
	loop_untimer(l, &in->timer);
	closep(&in->gate.fd);
	closep(&in->app.fd);
	list_del(&in->link);
	loop_defer(l, &in->free_task, free_later);
}

static void drop(struct inbound *in)
{
	in->net->n_flows--;
	done(in);
}

static void on_late(struct loop *l, struct timer *t)
{
	drop(container_of(t, struct inbound, timer));
}

static void dial(struct inbound *in);

static void on_app(struct loop *l, struct watch *w, uint32_t events)
{
	struct inbound *in = container_of(w, struct inbound, app);
	socklen_t len = sizeof(int);
	int e = 0, one = 1;

	(void)getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &len);
	loop_unwatch(l, w);
	if (e) {
		closep(&w->fd);
		dial(in);
		return;
	}
	loop_unwatch(l, &in->gate);
	(void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	net_relay(in->net, TAKE_FD(w->fd), TAKE_FD(in->gate.fd));
	done(in);
}

static int dial_at(struct inbound *in, bool v6)
{
	const struct sockaddr_in a4 = {.sin_family = AF_INET,
		.sin_port = htons(in->port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	const struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
		.sin6_port = htons(in->port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT};
	_cleanup_close_ int fd = socket(v6 ? AF_INET6 : AF_INET,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = v6 ? connect(fd, (const struct sockaddr *)&a6, sizeof(a6))
	       : connect(fd, (const struct sockaddr *)&a4, sizeof(a4));
	if (r < 0 && errno != EINPROGRESS)
		return -errno;
	r = loop_watch(in->net->loop, &in->app, fd, EPOLLOUT, on_app);
	if (r == 0)
		(void)TAKE_FD(fd);
	return r;
}

/* 127.0.0.1 first, then ::1, then no more. */
static void dial(struct inbound *in)
{
	while (in->tries < 2)
		if (dial_at(in, in->tries++ == 1) == 0)
			return;
	drop(in);
}

static void give_udp(struct inbound *in)
{
	loop_unwatch(in->net->loop, &in->gate);
	if (net_in_udp(in->net, in->gate.fd, in->port) < 0) {
		drop(in);
		return;
	}
	in->gate.fd = -1;
	done(in);
}

static void on_gate(struct loop *l, struct watch *w, uint32_t events)
{
	struct inbound *in = container_of(w, struct inbound, gate);
	struct egress_head h;
	ssize_t n;

	if (in->head_len == EGRESS_HEAD) { /* it gave up */
		drop(in);
		return;
	}
	n = recv(w->fd, in->head + in->head_len, EGRESS_HEAD - in->head_len,
		MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	in->head_len += (size_t)MAX(n, 0);
	if (n <= 0 ||
		(in->head_len == EGRESS_HEAD && egress_get(in->head, &h) < 0)) {
		drop(in);
		return;
	}
	if (in->head_len < EGRESS_HEAD)
		return;
	in->port = h.port;
	if (h.proto == EGRESS_UDP) {
		give_udp(in);
		return;
	}
	loop_rewatch(l, w, 0);
	dial(in);
}

static void inbound_new(struct net *n, int fd)
{
	struct inbound *in = xnew(struct inbound);

	in->net = n;
	in->app.fd = -1;
	if (loop_watch(n->loop, &in->gate, fd, EPOLLIN, on_gate) < 0) {
		closep(&fd);
		free(in);
		return;
	}
	n->n_flows++;
	list_add_tail(&n->inbounds, &in->link);
	loop_timer(n->loop, &in->timer, INBOUND_MS, on_late);
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct net *n = container_of(w, struct net, in);

	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(
			w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (n->n_flows < NET_FLOWS_MAX)
			inbound_new(n, fd);
		else
			close(fd);
	}
}

int net_in_start(struct net *n)
{
	int fd = -1;
	int r = vsock_listen(PORT_INBOUND, &fd);

	r = r ? r : loop_watch(n->loop, &n->in, fd, EPOLLIN, on_listen);
	if (r < 0)
		closep(&fd);
	return r;
}
