/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of a vhost-user connection: messages in, replies out. */
#include "devices/vhu.h"

#include "base/fd.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static size_t bytes_missing(const struct vhu *v)
{
	size_t head = sizeof(v->msg.head);

	return v->got < head ? head - v->got : head + v->msg.head.size - v->got;
}

/* Descriptors come with the first byte of their message. */
static int receive(struct vhu *v)
{
	uint8_t *to = (uint8_t *)&v->msg + v->got;
	size_t n_fds = 0;
	ssize_t n = sock_recv_fds(v->sock, to, bytes_missing(v),
		v->fds + v->n_fds, VHU_REGIONS - v->n_fds, &n_fds);

	if (n <= 0)
		return n < 0 ? (int)n : -EPIPE;
	v->n_fds += n_fds;
	v->got += (size_t)n;
	if (v->got == sizeof(v->msg.head) && v->msg.head.size > VHU_PAYLOAD_MAX)
		return -EMSGSIZE;
	return 0;
}

static int check_head(const struct vhu *v)
{
	const struct vhu_head *h = &v->msg.head;

	if ((h->flags & VHU_VERSION_MASK) != VHU_VERSION ||
		(h->flags & VHU_REPLY))
		return -EBADMSG;
	return 0;
}

/* The front end waits for it, and it is short: the socket has room. */
static int send_reply(struct vhu *v)
{
	size_t len = sizeof(v->msg.head) + v->msg.head.size;
	ssize_t n = send(v->sock, &v->msg, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n == (ssize_t)len ? 0 : -EPIPE;
}

static int one_message(struct vhu *v)
{
	int r = receive(v);

	if (r < 0)
		return r == -EAGAIN || r == -EINTR ? 0 : r;
	if (v->got < sizeof(v->msg.head) || bytes_missing(v))
		return 0;
	/* What a short message does not say is zero. */
	memset((uint8_t *)&v->msg + v->got, 0, sizeof(v->msg) - v->got);
	v->got = 0;
	r = check_head(v);
	r = r ? r : vhu_handle(v);
	return r > 0 ? send_reply(v) : r;
}

static void on_message(struct loop *l, struct watch *w, uint32_t events)
{
	struct vhu *v = container_of(w, struct vhu, watch);
	int r = one_message(v);

	if (r == 0)
		return;
	if (r != -EPIPE && r != -ECONNRESET)
		log_warn("vhost-user %s: request %u: %s; connection closed",
			v->dev->ops->name, v->msg.head.request, strerror(-r));
	loop_unwatch(l, w);
	v->gone(v);
}

static int rings_init(struct vhu *v)
{
	for (unsigned i = 0; i < VDEV_QUEUES; i++)
		v->ring[i] = (struct vhu_ring){.vhu = v,
			.kick_fd = -1,
			.call_fd = -1,
			.err_fd = -1,
			.enabled = true};
	for (unsigned i = 0; i < v->dev->n_queues; i++) {
		v->ring[i].call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (v->ring[i].call_fd < 0)
			return -errno;
	}
	return 0;
}

int vhu_init(struct vhu *v, struct loop *l, int sock, struct vdev *dev,
	void (*gone)(struct vhu *v))
{
	int r;

	memset(v, 0, sizeof(*v));
	v->host = vhu_host;
	v->dev = dev;
	v->loop = l;
	v->sock = sock;
	v->gone = gone;
	dev->host = &v->host;
	r = rings_init(v);
	r = r ? r : fd_nonblock(sock, true);
	r = r ? r : loop_watch(l, &v->watch, sock, EPOLLIN, on_message);
	if (r < 0)
		vhu_done(v);
	return r;
}

void vhu_done(struct vhu *v)
{
	loop_unwatch(v->loop, &v->watch);
	for (unsigned i = 0; i < v->dev->n_queues; i++) {
		struct vhu_ring *r = &v->ring[i];

		loop_unwatch(v->loop, &r->kick);
		vdev_queue_stop(v->dev, i);
		closep(&r->kick_fd);
		closep(&r->call_fd);
		closep(&r->err_fd);
	}
	for (size_t i = 0; i < v->n_fds; i++)
		closep(&v->fds[i]);
	v->n_fds = 0;
	gmem_unref(v->gm);
	v->gm = NULL;
	closep(&v->sock);
}
