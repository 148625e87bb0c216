/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vsock_internal.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Packets of one round, so that the other direction gets its turn. */
#define TX_BUDGET 64

static void config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	struct virtio_vsock_config cfg = {.guest_cid = VSOCK_GUEST_CID};

	memcpy(p, (const uint8_t *)&cfg + off, len);
}

static void peer_credit(struct vsock_conn *c, const struct virtio_vsock_hdr *h)
{
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	/* More "forwarded" than was ever sent is a lie: no credit from it. */
	if (c->readable && vsock_credit(c))
		vsock_wake(c);
}

static void tx_request(struct vsock *vs, const struct virtio_vsock_hdr *h)
{
	struct vsock_conn *c;
	int fd = host_dial(vs, h->dst_port);

	if (fd < 0 || conn_new(vs, fd, &c) < 0) {
		vsock_reset_stray(vs, h->src_port, h->dst_port, h->type);
		return;
	}
	conn_enter(c, h->src_port, h->dst_port, VC_OPEN);
	c->readable = true;
	peer_credit(c, h);
	vsock_owe(c, OWE_RESPONSE);
	if (vs->hooks.opened)
		vs->hooks.opened(vs->hooks.arg, true, h->dst_port);
}

static void violation(struct vsock_conn *c)
{
	c->vs->stats.violations++;
	conn_reset(c);
}

static void tx_shutdown(struct vsock_conn *c, const struct virtio_vsock_hdr *h)
{
	const uint8_t both =
		VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;

	c->shut_guest |= h->flags & both;
	/* Section 5.10.6.6.1: answered with RST, also when we began. */
	if (c->shut_guest == both || c->state == VC_CLOSING) {
		if (c->shut_guest == both)
			conn_drain(c, OWE_RST);
		return;
	}
	if (c->state != VC_OPEN) {
		violation(c);
		return;
	}
	if (c->shut_guest & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		c->host_eof = true;
		c->readable = false;
		(void)shutdown(c->fd, SHUT_RD);
	}
	host_end_of_data(c);
}

static void tx_data(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
	struct iovec *iov, unsigned n_iov)
{
	struct vsock *vs = c->vs;

	if (c->state == VC_CLOSING)
		return; /* crossed our SHUTDOWN */
	if (c->state != VC_OPEN ||
		(c->shut_guest & VIRTIO_VSOCK_SHUTDOWN_SEND) ||
		h->len > c->alloc - c->ring_len) {
		violation(c);
		return;
	}
	vs->stats.tx_bytes += h->len;
	host_take(c, iov, n_iov, h->len);
}

static void tx_to_conn(struct vsock_conn *c, const struct virtio_vsock_hdr *h,
	struct iovec *iov, unsigned n_iov)
{
	peer_credit(c, h);
	switch (h->op) {
	case VIRTIO_VSOCK_OP_RW:
		tx_data(c, h, iov, n_iov);
		break;
	case VIRTIO_VSOCK_OP_RESPONSE:
		if (c->state == VC_REQUEST)
			host_established(c);
		else
			violation(c);
		break;
	case VIRTIO_VSOCK_OP_RST:
		conn_drain(c, 0);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		tx_shutdown(c, h);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		if (c->state == VC_OPEN)
			vsock_owe(c, OWE_CREDIT);
		break;
	default: /* a second REQUEST, or nothing we know */
		violation(c);
		break;
	}
}

static void tx_packet(struct vsock *vs, const struct virtio_vsock_hdr *h,
	struct iovec *iov, unsigned n_iov)
{
	struct vsock_conn *c;

	if (h->src_cid != VSOCK_GUEST_CID || h->dst_cid != VSOCK_HOST_CID) {
		vs->stats.dropped++;
		return;
	}
	vs->stats.tx_packets++;
	c = h->type == VIRTIO_VSOCK_TYPE_STREAM
		? conn_find(vs, h->src_port, h->dst_port)
		: NULL;
	if (c) {
		tx_to_conn(c, h, iov, n_iov);
		return;
	}
	if (h->op == VIRTIO_VSOCK_OP_RST)
		return;
	if (h->op == VIRTIO_VSOCK_OP_REQUEST &&
		h->type == VIRTIO_VSOCK_TYPE_STREAM) {
		tx_request(vs, h);
		return;
	}
	vs->stats.dropped++;
	vsock_reset_stray(vs, h->src_port, h->dst_port, h->type);
}

/* The header is copied once; the data is only ever handed to the host. */
static void tx_chain(struct vsock *vs, const struct vq_chain *c)
{
	struct virtio_vsock_hdr h;
	struct iovec iov[VQ_IOV_MAX];
	unsigned n;

	if (c->rd_len < VSOCK_HDR) {
		vs->stats.dropped++;
		return;
	}
	vq_iov_read(c->rd, c->n_rd, &h, VSOCK_HDR);
	if (h.len > c->rd_len - VSOCK_HDR) {
		vs->stats.dropped++;
		return;
	}
	n = vq_iov_slice(c->rd, c->n_rd, VSOCK_HDR, h.len, iov);
	tx_packet(vs, &h, iov, n);
}

/*
 * Returns true when there is more to do at once. Stops while resets cannot be
 * told, so that a guest that takes none cannot make us remember more.
 */
static bool tx_run(struct vsock *vs)
{
	struct vq *q = vsock_vq(vs, VSOCK_Q_TX);
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c;

	for (int i = 0; i < TX_BUDGET; i++) {
		int r;

		if (vs->n_strays == VSOCK_STRAYS) {
			vs->tx_blocked = true;
			return false;
		}
		r = vq_pop(q, iov, VQ_IOV_MAX, &c);
		if (r < 0) {
			vsock_fail(vs, VSOCK_Q_TX);
			return false;
		}
		if (r == 0)
			return vq_kicks_on(q);
		tx_chain(vs, &c);
		vq_push(q, &c, 0);
	}
	return true;
}

void vsock_tx_task(struct loop *l, struct task *t)
{
	struct vsock *vs = container_of(t, struct vsock, tx_task);
	struct vq *q = vsock_vq(vs, VSOCK_Q_TX);

	if (!vsock_up(vs))
		return;
	vs->tx_blocked = false;
	vq_kicks_off(q);
	if (tx_run(vs))
		loop_defer(vs->loop, &vs->tx_task, vsock_tx_task);
	if (vq_should_notify(q))
		vdev_notify(&vs->dev, VSOCK_Q_TX);
}

/* The driver gives an event's buffer back when it has dealt with it. */
static void event_seen(struct vsock *vs)
{
	struct vq *q = vsock_vq(vs, VSOCK_Q_EVENT);

	if (!vs->resetting || vq_offered(q) == vs->event_offered)
		return;
	vs->resetting = false;
	(void)host_listen(vs);
}

static void kick(struct vdev *d, unsigned q)
{
	struct vsock *vs = container_of(d, struct vsock, dev);

	if (q == VSOCK_Q_EVENT)
		event_seen(vs);
	else if (q == VSOCK_Q_TX)
		vsock_tx_task(vs->loop, &vs->tx_task);
	else if (q == VSOCK_Q_RX)
		vsock_rx_task(vs->loop, &vs->rx_task);
}

/* What was offered before we looked has no kick of its own any more. */
static void queue_start(struct vdev *d, unsigned q)
{
	struct vsock *vs = container_of(d, struct vsock, dev);

	vq_kicks_on(&d->q[q].vq);
	loop_defer(vs->loop, &vs->tx_task, vsock_tx_task);
	vsock_rx_later(vs);
}

/* Pausing must not lose buffers that were taken and not yet given back. */
static void queue_stop(struct vdev *d, unsigned q)
{
	if (q == VSOCK_Q_RX)
		vsock_release(container_of(d, struct vsock, dev));
}

static void drop_all(struct vsock *vs)
{
	for (uint32_t i = 0; i < vs->n_touched; i++)
		if (vs->conn[i].state != VC_FREE)
			conn_free(&vs->conn[i]);
	vs->n_strays = 0;
}

static void on_fail(struct loop *l, struct task *t)
{
	drop_all(container_of(t, struct vsock, fail_task));
}

/* Later, because a connection may be in the caller's hands. */
void vsock_fail(struct vsock *vs, unsigned q)
{
	vdev_failed(&vs->dev, q);
	loop_defer(vs->loop, &vs->fail_task, on_fail);
}

static void reset(struct vdev *d)
{
	struct vsock *vs = container_of(d, struct vsock, dev);

	drop_all(vs);
	vs->resetting = false;
	(void)host_listen(vs);
}

/*
 * Whoever connected before the driver dealt with the event would be cut off
 * by it: they wait in the socket's backlog.
 */
static void wait_until_seen(struct vsock *vs)
{
	struct vq *q = vsock_vq(vs, VSOCK_Q_EVENT);

	vs->resetting = true;
	vs->event_offered = vq_offered(q);
	vq_kick_next(q, vs->event_offered);
	loop_unwatch(vs->loop, &vs->listener);
	loop_untimer(vs->loop, &vs->accept_timer);
}

void vsock_transport_reset(struct vsock *vs)
{
	struct virtio_vsock_event ev = {VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};
	struct vq *q = vsock_vq(vs, VSOCK_Q_EVENT);
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c;

	drop_all(vs);
	if (vq_pop(q, iov, VQ_IOV_MAX, &c) <= 0 || c.wr_len < sizeof(ev))
		return;
	vq_iov_write(c.wr, c.n_wr, &ev, sizeof(ev));
	wait_until_seen(vs); /* before the driver can */
	vq_push(q, &c, sizeof(ev));
	if (vq_should_notify(q))
		vdev_notify(&vs->dev, VSOCK_Q_EVENT);
}

static const struct vdev_ops vsock_ops = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.queue_size = VQ_SIZE_MAX,
	.config_read = config_read,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kick = kick,
	.reset = reset,
};

int vsock_new(struct loop *l, int listen_fd, int run_dir, struct vsock **ret)
{
	struct vsock *vs;
	int r = listen_fd < 0 ? 0 : fd_nonblock(listen_fd, true);

	if (r < 0)
		return r;
	vs = xnew(struct vsock);
	vs->dev = (struct vdev){.ops = &vsock_ops,
		.features = VDEV_FEATURES,
		.config_len = sizeof(struct virtio_vsock_config),
		.n_queues = 3};
	vs->loop = l;
	vs->listen_fd = listen_fd;
	vs->run_dir = run_dir;
	list_init(&vs->run);
	list_init(&vs->closing);
	vs->conn = xcalloc(VSOCK_CONNS, sizeof(*vs->conn));
	vs->burst = xnew(struct vsock_burst);
	vs->held = xnew(struct vsock_burst);
	vs->bucket = xcalloc(VSOCK_BUCKETS, sizeof(struct vsock_conn *));
	r = host_listen(vs);
	if (r < 0) {
		vsock_free(vs);
		return r;
	}
	*ret = vs;
	return 0;
}

void vsock_free(struct vsock *vs)
{
	if (!vs)
		return;
	drop_all(vs);
	loop_unwatch(vs->loop, &vs->listener);
	loop_untimer(vs->loop, &vs->accept_timer);
	if (vs->rx_task.queued)
		list_del(&vs->rx_task.link);
	if (vs->tx_task.queued)
		list_del(&vs->tx_task.link);
	if (vs->fail_task.queued)
		list_del(&vs->fail_task.link);
	free(vs->burst);
	free(vs->held);
	free(vs->bucket);
	free(vs->conn);
	free(vs);
}

void vsock_set_hooks(struct vsock *vs, const struct vsock_hooks *h)
{
	vs->hooks = *h;
}

unsigned vsock_locals(const struct vsock *vs)
{
	return vs->n_locals;
}

struct vdev *vsock_dev(struct vsock *vs)
{
	return &vs->dev;
}

const struct vsock_stats *vsock_stats(const struct vsock *vs)
{
	return &vs->stats;
}
