/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's ends of vsock connections: Unix stream sockets, never blocking.
 */
#include "virtio/vsock_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECT_MAX 32u /* "CONNECT 4294967295\n" and some spaces */
#define ACCEPTS_PER_EVENT 16
#define ACCEPT_PAUSE_MS 100

/* Fills the address of vsock.sock_P; the run directory may have a long name. */
static socklen_t dial_addr(
	const struct vsock *vs, uint32_t port, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (vs->run_dir == AT_FDCWD)
		(void)snprintf(sa->sun_path, sizeof(sa->sun_path),
			"vsock.sock_%u", port);
	else
		(void)snprintf(sa->sun_path, sizeof(sa->sun_path),
			"/proc/self/fd/%d/vsock.sock_%u", vs->run_dir, port);
	return sizeof(*sa);
}

int host_dial(struct vsock *vs, uint32_t port)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un sa;
	socklen_t len;

	if (vs->run_dir == -1)
		return -ECONNREFUSED;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* A Unix socket connects at once, or its backlog is full: refused. */
	len = dial_addr(vs, port, &sa);
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void accept_again(struct loop *l, struct timer *t)
{
	host_listen(container_of(t, struct vsock, accept_timer));
}

/* Out of descriptors: the backlog waits until some are closed again. */
static void accept_pause(struct vsock *vs)
{
	loop_unwatch(vs->loop, &vs->listener);
	loop_timer(vs->loop, &vs->accept_timer, ACCEPT_PAUSE_MS, accept_again);
}

int host_listen(struct vsock *vs)
{
	if (vs->listen_fd < 0 || vs->resetting || vs->listener.active)
		return 0;
	return loop_watch(
		vs->loop, &vs->listener, vs->listen_fd, EPOLLIN, host_accept);
}

void host_accept(struct loop *l, struct watch *w, uint32_t events)
{
	struct vsock *vs = container_of(w, struct vsock, listener);
	struct vsock_conn *c;

	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		int fd = accept4(vs->listen_fd, NULL, NULL,
			SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			accept_pause(vs);
		if (fd < 0)
			return;
		if (!vsock_up(vs))
			close(fd); /* nobody inside to talk to yet */
		else
			(void)conn_new(vs, fd, &c); /* closes when full */
	}
}

/* Takes exactly the line, because the bytes after it are for the guest. */
static int read_connect(struct vsock_conn *c, uint32_t *ret_port)
{
	char line[CONNECT_MAX + 1], *end;
	unsigned long long port;
	ssize_t n = recv(c->fd, line, CONNECT_MAX, MSG_PEEK);

	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	line[n] = '\0';
	end = memchr(line, '\n', (size_t)n);
	if (!end)
		return n == CONNECT_MAX ? -EBADMSG : -EAGAIN;
	(void)recv(c->fd, line, (size_t)(end - line) + 1, 0);
	*end = '\0';
	if (strncmp(line, "CONNECT ", 8) || line[8] < '0' || line[8] > '9')
		return -EBADMSG;
	port = strtoull(line + 8, &end, 10);
	if (*end || port > UINT32_MAX)
		return -EBADMSG;
	*ret_port = (uint32_t)port;
	return 0;
}

static void handshake(struct vsock_conn *c)
{
	uint32_t port;
	int r = read_connect(c, &port);

	if (r == -EAGAIN)
		return;
	if (r < 0 || !vsock_up(c->vs)) {
		conn_free(c);
		return;
	}
	conn_enter(c, port, conn_port(c->vs, port), VC_REQUEST);
	vsock_owe(c, OWE_REQUEST);
}

void host_established(struct vsock_conn *c)
{
	char ok[32];
	int n = snprintf(ok, sizeof(ok), "OK %u\n", c->host_port);

	c->state = VC_OPEN;
	c->readable = true;
	/* The first bytes on a fresh socket always fit. */
	if (!c->local && send(c->fd, ok, (size_t)n, MSG_NOSIGNAL) != n) {
		conn_reset(c);
		return;
	}
	vsock_wake(c);
	if (!c->local && c->vs->hooks.opened)
		c->vs->hooks.opened(c->vs->hooks.arg, false, c->guest_port);
}

static void forwarded(struct vsock_conn *c, uint32_t n)
{
	c->fwd += n;
	/* Told early enough that a busy guest never runs dry. */
	if (c->fwd - c->fwd_told >= c->alloc / 2 && c->state == VC_OPEN)
		vsock_owe(c, OWE_CREDIT);
}

static ssize_t send_parts(int fd, struct iovec *iov, unsigned n_iov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};

	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The parts of the ring from offset off on, len bytes. */
static unsigned ring_parts(const struct vsock_conn *c, uint32_t off,
	uint32_t len, struct iovec iov[2])
{
	uint32_t at = (c->ring_at + off) % c->alloc;
	uint32_t first = MIN(len, c->alloc - at);

	iov[0] = (struct iovec){c->ring + at, first};
	iov[1] = (struct iovec){c->ring, len - first};
	return len > first ? 2 : 1;
}

static void keep(struct vsock_conn *c, const struct iovec *iov, unsigned n,
	uint32_t skip, uint32_t len)
{
	struct iovec to[2];
	unsigned n_to;

	if (!c->ring)
		c->ring = xcalloc(c->alloc, 1);
	n_to = ring_parts(c, c->ring_len, len, to);
	c->ring_len += len;
	for (unsigned i = 0; i < n_to; i++) {
		size_t left = to[i].iov_len;
		uint8_t *p = to[i].iov_base;

		while (left) {
			size_t k;

			while (skip >= iov->iov_len)
				skip -= (uint32_t)(iov++)->iov_len;
			k = MIN(iov->iov_len - skip, left);
			memcpy(p, (uint8_t *)iov->iov_base + skip, k);
			skip += (uint32_t)k;
			p += k;
			left -= k;
		}
	}
	loop_rewatch(c->vs->loop, &c->watch,
		EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void host_take(
	struct vsock_conn *c, struct iovec *iov, unsigned n_iov, uint32_t len)
{
	ssize_t n = 0;

	if (!len)
		return;
	if (!c->ring_len) {
		n = send_parts(c->fd, iov, n_iov);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			n = 0;
		/* The host reads no more: as good as taken. */
		if (n < 0)
			n = len;
		forwarded(c, (uint32_t)n);
	}
	if ((uint32_t)n < len)
		keep(c, iov, n_iov, (uint32_t)n, len - (uint32_t)n);
}

static void flush_ring(struct vsock_conn *c)
{
	struct iovec iov[2];
	ssize_t n;

	while (c->ring_len) {
		n = send_parts(c->fd, iov, ring_parts(c, 0, c->ring_len, iov));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			n = c->ring_len;
		c->ring_at = (c->ring_at + (uint32_t)n) % c->alloc;
		c->ring_len -= (uint32_t)n;
		forwarded(c, (uint32_t)n);
	}
	free(c->ring);
	c->ring = NULL;
	loop_rewatch(c->vs->loop, &c->watch, EPOLLIN | EPOLLRDHUP | EPOLLET);
	host_end_of_data(c);
}

void host_end_of_data(struct vsock_conn *c)
{
	if (c->ring_len)
		return;
	if (c->state == VC_DRAIN)
		conn_settle(c);
	else if (c->shut_guest & VIRTIO_VSOCK_SHUTDOWN_SEND)
		(void)shutdown(c->fd, SHUT_WR);
}

void host_eof(struct vsock_conn *c)
{
	c->readable = false;
	c->host_eof = true;
	if (c->host_gone)
		conn_close_host(c);
	else
		vsock_owe(c, OWE_SHUTDOWN);
}

void host_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct vsock_conn *c = container_of(w, struct vsock_conn, watch);

	if (c->state == VC_HANDSHAKE) {
		handshake(c);
		return;
	}
	if (events & (EPOLLHUP | EPOLLERR))
		c->host_gone = true;
	if (c->state == VC_REQUEST && c->host_gone) {
		conn_reset(c);
		return;
	}
	if (c->state == VC_OPEN && c->host_eof && c->host_gone) {
		conn_close_host(c);
		return;
	}
	if (c->state == VC_OPEN && !c->host_eof) {
		c->readable = true;
		vsock_wake(c);
	}
	if (c->ring_len && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		flush_ring(c);
}

int vsock_connect_local(struct vsock *vs, uint32_t port)
{
	_cleanup_close_ int mine = -1;
	struct vsock_conn *c;
	int sv[2], r;

	if (!vsock_up(vs) || vs->resetting)
		return -ENOTCONN;
	r = socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv);
	if (r < 0)
		return -errno;
	mine = sv[0];
	r = conn_new(vs, sv[1], &c);
	if (r < 0)
		return r;
	c->local = true;
	vs->n_locals++;
	conn_enter(c, port, conn_port(vs, port), VC_REQUEST);
	vsock_owe(c, OWE_REQUEST);
	return TAKE_FD(mine);
}
