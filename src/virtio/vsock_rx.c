/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets to the guest. Connections with something to send stand in one line
 * and get a turn each: their control packets, and one read of the host socket
 * into as many of the guest's buffers as one burst allows. The line waits when
 * the guest offers no buffers; a connection without credit is not in it.
 */
#include "virtio/vsock_internal.h"

#include <errno.h>
#include <sys/socket.h>

#define TURNS 64

void vsock_rx_later(struct vsock *vs)
{
	loop_defer(vs->loop, &vs->rx_task, vsock_rx_task);
}

void vsock_wake(struct vsock_conn *c)
{
	if (list_empty(&c->run))
		list_add_tail(&c->vs->run, &c->run);
	vsock_rx_later(c->vs);
}

void vsock_owe(struct vsock_conn *c, uint8_t what)
{
	c->owes |= what;
	vsock_wake(c);
}

void vsock_reset_stray(struct vsock *vs, uint32_t guest_port,
	uint32_t host_port, uint16_t type)
{
	unsigned at = (vs->first_stray + vs->n_strays++) % VSOCK_STRAYS;

	vs->stray[at] = (struct vsock_stray){guest_port, host_port, type};
	vsock_rx_later(vs);
}

static bool pop_room(struct vsock *vs, struct vq_chain *c)
{
	struct vq *q = vsock_vq(vs, VSOCK_Q_RX);
	int r = vq_pop(q, vs->burst->chain_iov, VQ_IOV_MAX, c);

	if (r > 0 && c->wr_len < VSOCK_HDR) {
		q->broken = true;
		r = -EBADMSG;
	}
	if (r < 0)
		vsock_fail(vs, VSOCK_Q_RX);
	return r > 0;
}

static void push_packet(struct vsock *vs, const struct vq_chain *c,
	const struct virtio_vsock_hdr *h)
{
	vq_iov_write(c->wr, c->n_wr, h, VSOCK_HDR);
	vq_push(vsock_vq(vs, VSOCK_Q_RX), c, (uint32_t)VSOCK_HDR + h->len);
	vs->stats.rx_packets++;
	vs->stats.rx_bytes += h->len;
}

static struct virtio_vsock_hdr header(struct vsock_conn *c, uint16_t op)
{
	c->fwd_told = c->fwd;
	c->owes &= (uint8_t)~OWE_CREDIT; /* every packet tells the credit */
	return (struct virtio_vsock_hdr){
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = VSOCK_GUEST_CID,
		.src_port = c->host_port,
		.dst_port = c->guest_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = c->alloc,
		.fwd_cnt = c->fwd,
	};
}

static bool send_strays(struct vsock *vs)
{
	while (vs->n_strays) {
		const struct vsock_stray *s = &vs->stray[vs->first_stray];
		struct virtio_vsock_hdr h = {
			.src_cid = VSOCK_HOST_CID,
			.dst_cid = VSOCK_GUEST_CID,
			.src_port = s->host_port,
			.dst_port = s->guest_port,
			.type = s->type,
			.op = VIRTIO_VSOCK_OP_RST,
		};
		struct vq_chain room;

		if (!pop_room(vs, &room))
			return false;
		push_packet(vs, &room, &h);
		vs->first_stray = (vs->first_stray + 1) % VSOCK_STRAYS;
		vs->n_strays--;
	}
	return true;
}

static uint16_t next_control(const struct vsock_conn *c)
{
	if (c->owes & OWE_RST)
		return VIRTIO_VSOCK_OP_RST;
	if (c->owes & OWE_REQUEST)
		return VIRTIO_VSOCK_OP_REQUEST;
	if (c->owes & OWE_RESPONSE)
		return VIRTIO_VSOCK_OP_RESPONSE;
	if (c->owes & OWE_SHUTDOWN)
		return VIRTIO_VSOCK_OP_SHUTDOWN;
	return VIRTIO_VSOCK_OP_CREDIT_UPDATE;
}

static void settle_control(struct vsock_conn *c, uint16_t op)
{
	switch (op) {
	case VIRTIO_VSOCK_OP_RST:
		c->owes = 0;
		break;
	case VIRTIO_VSOCK_OP_REQUEST:
		c->owes &= (uint8_t)~OWE_REQUEST;
		break;
	case VIRTIO_VSOCK_OP_RESPONSE:
		c->owes &= (uint8_t)~OWE_RESPONSE;
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		c->owes &= (uint8_t)~OWE_SHUTDOWN;
		break;
	default:
		break; /* header() settled the credit */
	}
}

static bool send_control(struct vsock *vs, struct vsock_conn *c)
{
	while (c->owes) {
		uint16_t op = next_control(c);
		struct virtio_vsock_hdr h;
		struct vq_chain room;

		if (!pop_room(vs, &room))
			return false;
		h = header(c, op);
		if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
			h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND |
				(c->state == VC_CLOSING
						? VIRTIO_VSOCK_SHUTDOWN_RCV
						: 0);
		push_packet(vs, &room, &h);
		settle_control(c, op);
	}
	return true;
}

static bool has_data(const struct vsock_conn *c)
{
	return c->state == VC_OPEN && c->readable && vsock_credit(c) &&
		(c->local || !c->vs->holding);
}

static int pop_into(struct vsock *vs, struct vsock_burst *b)
{
	struct vq *q = vsock_vq(vs, VSOCK_Q_RX);
	struct vq_chain *c = &b->chain[b->n_chains];
	int r = vq_pop(q, b->chain_iov + b->n_iov, VSOCK_IOV - b->n_iov, c);

	if (r > 0 && c->wr_len <= VSOCK_HDR) {
		q->broken = true;
		r = -EBADMSG;
	}
	if (r < 0 && r != -ENOBUFS)
		vsock_fail(vs, VSOCK_Q_RX);
	return r;
}

/* Collects buffers for at most `want` bytes. */
static void collect(
	struct vsock *vs, struct vsock_burst *b, unsigned max, uint32_t want)
{
	b->n_chains = b->n_iov = b->n_data = 0;
	b->room = 0;
	while (b->n_chains < max && b->room < want && pop_into(vs, b) > 0) {
		const struct vq_chain *c = &b->chain[b->n_chains];
		uint32_t len =
			MIN(c->wr_len - (uint32_t)VSOCK_HDR, want - b->room);

		b->n_data += vq_iov_slice(c->wr, c->n_wr, VSOCK_HDR, len,
			b->data_iov + b->n_data);
		b->n_iov += c->n_rd + c->n_wr;
		b->room += len;
		b->n_chains++;
	}
}

/* Gives back the chains that the bytes read did not reach. */
static void trim(struct vsock *vs, struct vsock_burst *b)
{
	uint32_t left = b->len;
	unsigned n = 0;

	while (left) {
		uint32_t room = b->chain[n++].wr_len - (uint32_t)VSOCK_HDR;

		left -= MIN(left, room);
	}
	vq_unpop(vsock_vq(vs, VSOCK_Q_RX), b->n_chains - n);
	b->n_chains = n;
}

static void deliver(struct vsock *vs, struct vsock_burst *b)
{
	for (unsigned i = 0; i < b->n_chains; i++) {
		const struct vq_chain *chain = &b->chain[i];
		struct virtio_vsock_hdr h;

		/* Gone while held: drivers drop what is shorter than a head. */
		if (!b->conn) {
			vq_push(vsock_vq(vs, VSOCK_Q_RX), chain, 0);
			continue;
		}
		h = header(b->conn, VIRTIO_VSOCK_OP_RW);
		h.len = MIN(b->len, chain->wr_len - (uint32_t)VSOCK_HDR);
		push_packet(vs, chain, &h);
		b->conn->sent += h.len;
		b->len -= h.len;
	}
}

/* Keeps the bytes where they are, in buffers the guest was not told of. */
static bool hold(struct vsock *vs, struct vsock_conn *c)
{
	struct vsock_burst *b = vs->burst;

	if (c->local || !vs->hooks.hold || !vs->hooks.hold(vs->hooks.arg))
		return false;
	vs->holding = true;
	vs->burst = vs->held;
	vs->held = b;
	return true;
}

void vsock_forget_held(struct vsock_conn *c)
{
	if (c->vs->holding && c->vs->held->conn == c)
		c->vs->held->conn = NULL;
}

void vsock_release(struct vsock *vs)
{
	if (!vs->holding)
		return;
	vs->holding = false;
	deliver(vs, vs->held);
	for (uint32_t i = 0; i < vs->n_touched; i++)
		if (has_data(&vs->conn[i]))
			vsock_wake(&vs->conn[i]);
	vsock_rx_later(vs);
}

/* As many buffers next time as the last reads could fill. */
static void adapt(struct vsock_conn *c, const struct vsock_burst *b)
{
	if (b->len == b->room)
		c->burst = (uint8_t)MIN(2u * c->burst, VSOCK_BURST);
	else
		c->burst = (uint8_t)MAX(1u, c->burst / 2u);
}

/* False when the guest offers no buffer. */
static bool send_data(struct vsock *vs, struct vsock_conn *c)
{
	struct vsock_burst *b = vs->burst;
	struct msghdr msg = {.msg_iov = b->data_iov};
	ssize_t n;

	collect(vs, b, c->burst, vsock_credit(c));
	if (!b->n_chains)
		return false;
	msg.msg_iovlen = b->n_data;
	n = recvmsg(c->fd, &msg, MSG_DONTWAIT);
	b->conn = c;
	b->len = n > 0 ? (uint32_t)n : 0;
	if (n > 0)
		adapt(c, b);
	trim(vs, b);
	if (n > 0 && !hold(vs, c))
		deliver(vs, b);
	else if (n == 0)
		host_eof(c);
	else if (n < 0 && errno == EAGAIN)
		c->readable = false;
	else if (n < 0 && errno != EINTR)
		conn_reset(c);
	return true;
}

/* One turn. False when the guest offers no buffer; it keeps its place. */
static bool serve(struct vsock *vs, struct vsock_conn *c)
{
	if (!send_control(vs, c))
		return false;
	if (has_data(c) && !send_data(vs, c))
		return false;
	list_del(&c->run);
	if (c->owes || has_data(c))
		list_add_tail(&vs->run, &c->run);
	else
		conn_settle(c);
	return true;
}

static bool run_line(struct vsock *vs)
{
	if (!send_strays(vs))
		return false;
	for (int i = 0; i < TURNS && !list_empty(&vs->run); i++)
		if (!serve(vs,
			    list_entry(vs->run.next, struct vsock_conn, run)))
			return false;
	return true;
}

void vsock_rx_task(struct loop *l, struct task *t)
{
	struct vsock *vs = container_of(t, struct vsock, rx_task);
	struct vq *q = vsock_vq(vs, VSOCK_Q_RX);
	bool room;

	if (!vsock_up(vs))
		return;
	room = run_line(vs);
	if (vs->tx_blocked && vs->n_strays < VSOCK_STRAYS)
		loop_defer(vs->loop, &vs->tx_task, vsock_tx_task);
	if (vq_should_notify(q))
		vdev_notify(&vs->dev, VSOCK_Q_RX);
	if (!vsock_up(vs))
		return;
	/* Kicks are wanted only while somebody waits for buffers. */
	if (room)
		vq_kicks_off(q);
	if (room ? !list_empty(&vs->run) : vq_kicks_on(q))
		vsock_rx_later(vs);
}
