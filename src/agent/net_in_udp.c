/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A published UDP port: one sender on the host is one stream from the gate and
 * one socket here, connected to the port on 127.0.0.1. That nobody listens, or
 * not yet, is as if a datagram had been lost. The gate ends it when it idles.
 */
#include "agent/net.h"

#include "agent/packet.h"
#include "wire/datagrams.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define READS_PER_EVENT 16u

struct in_udp {
	struct net *net;
	struct watch gate, app;
	struct buf to, from; /* of the gate's stream */
	struct task free_task;
};

static void free_later(struct loop *l, struct task *t)
{
	struct in_udp *u = container_of(t, struct in_udp, free_task);

	buf_done(&u->to);
	buf_done(&u->from);
	free(u);
}

static void drop(struct in_udp *u)
{
	struct loop *l = u->net->loop;

	loop_unwatch(l, &u->gate);
	loop_unwatch(l, &u->app);
	closep(&u->gate.fd);
	closep(&u->app.fd);
	u->net->n_flows--;
	loop_defer(l, &u->free_task, free_later);
}

static int give(void *arg, const uint8_t *p, size_t len)
{
	struct in_udp *u = arg;

	/* The first one hears of the refusal of the one before. */
	for (unsigned i = 0; i < 2; i++)
		if (send(u->app.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			break;
	return 0;
}

static void on_gate(struct loop *l, struct watch *w, uint32_t events)
{
	struct in_udp *u = container_of(w, struct in_udp, gate);
	int r = 0;

	if (events & EPOLLOUT)
		r = buf_send(&u->to, w->fd);
	if (r == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = datagrams_read(&u->from, w->fd, give, u);
	if (r < 0)
		drop(u);
	else
		loop_rewatch(l, w, EPOLLIN | (buf_len(&u->to) ? EPOLLOUT : 0u));
}

static void on_app(struct loop *l, struct watch *w, uint32_t events)
{
	struct in_udp *u = container_of(w, struct in_udp, app);

	for (unsigned i = 0; i < READS_PER_EVENT; i++) {
		ssize_t n =
			recv(w->fd, u->net->scratch, NET_SCRATCH, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n >= 0)
			datagrams_put(&u->to, u->net->scratch, (size_t)n);
	}
	loop_rewatch(l, &u->gate, EPOLLIN | (buf_len(&u->to) ? EPOLLOUT : 0u));
}

static int dial(uint16_t port)
{
	const struct sockaddr_in sa = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	_cleanup_close_ int fd =
		socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int net_in_udp(struct net *n, int gate, uint16_t port)
{
	struct in_udp *u = xnew(struct in_udp);
	int app = dial(port);
	int r = app < 0 ? app : 0;

	u->net = n;
	buf_init(&u->to, 2u * (DATAGRAM_HEAD + PACKET_MAX));
	buf_init(&u->from, DATAGRAM_HEAD + PACKET_MAX + DATAGRAM_READ);
	r = r ? r : loop_watch(n->loop, &u->app, app, EPOLLIN, on_app);
	r = r ? r : loop_watch(n->loop, &u->gate, gate, EPOLLIN, on_gate);
	if (r < 0) {
		loop_unwatch(n->loop, &u->app);
		closep(&app);
		free(u);
	}
	return r;
}
