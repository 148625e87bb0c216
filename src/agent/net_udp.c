/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/net_udp.h"

#include "agent/modules.h"
#include "agent/packet.h"
#include "agent/vsock.h"
#include "base/buf.h"
#include "wire/datagrams.h"
#include "wire/egress.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define PACKETS_PER_EVENT 64u
#define BUCKETS 256u

struct udp {
	struct net *net;
	struct watch tun;
	struct list flows[BUCKETS];
	size_t n;
	uint8_t in[PACKET_MAX];
	uint8_t out[PACKET_MAX];
};

struct udp_flow {
	struct list link;
	struct udp *u;
	struct watch gate; /* fd -1: denied */
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	bool answered; /* something came back */
	uint64_t began_ms;
	uint64_t active_ms;
	struct buf to, from;
	struct timer timer;
	struct task free_task;
};

static void flow_free(struct loop *l, struct task *t)
{
	struct udp_flow *f = container_of(t, struct udp_flow, free_task);

	buf_done(&f->to);
	buf_done(&f->from);
	free(f);
}

static void hang_up(struct udp_flow *f)
{
	loop_unwatch(f->u->net->loop, &f->gate);
	closep(&f->gate.fd);
}

static void flow_close(struct udp_flow *f)
{
	struct loop *l = f->u->net->loop;

	hang_up(f);
	loop_untimer(l, &f->timer);
	list_del(&f->link);
	f->u->n--;
	loop_defer(l, &f->free_task, flow_free);
}

static void on_time(struct loop *l, struct timer *t)
{
	struct udp_flow *f = container_of(t, struct udp_flow, timer);
	uint64_t limit = f->gate.fd < 0 ? UDP_DENIED_MS : UDP_FLOW_IDLE_MS;
	uint64_t idle = now_ms() - f->active_ms;

	if (idle >= limit)
		flow_close(f);
	else
		loop_timer(l, t, limit - idle, on_time);
}

/* The sender hears of it; its packet is gone, but only the ends count. */
static void tell_sender(struct udp_flow *f)
{
	struct udp *u = f->u;
	struct packet d = {
		.sport = f->sport, .dport = f->dport, .payload = u->in};
	size_t n;

	memcpy(d.src, f->src, 16);
	memcpy(d.dst, f->dst, 16);
	n = packet_make(&d, u->in);
	n = packet_unreachable(u->in, n, &d, u->out);
	if (write(u->tun.fd, u->out, n) < 0)
		return;
}

/* The gate closed it: at once means no; then it is not asked for a while. */
static void on_closed(struct udp_flow *f)
{
	uint64_t now = now_ms();

	if (f->answered || now - f->began_ms >= UDP_DENIED_MS) {
		flow_close(f);
		return;
	}
	hang_up(f);
	buf_done(&f->to);
	tell_sender(f);
	f->active_ms = now;
	loop_timer(f->u->net->loop, &f->timer, UDP_DENIED_MS, on_time);
}

/* A datagram that came back, as a packet. A full tun loses it. */
static int give(void *arg, const uint8_t *p, size_t len)
{
	struct udp_flow *f = arg;
	struct packet d = {
		.sport = f->dport, .dport = f->sport, .payload = p, .len = len};
	size_t n;

	memcpy(d.src, f->dst, 16);
	memcpy(d.dst, f->src, 16);
	n = packet_make(&d, f->u->out);
	if (n > 0 && write(f->u->tun.fd, f->u->out, n) < 0)
		return 0;
	f->answered = true;
	f->active_ms = now_ms();
	return 0;
}

static void on_gate(struct loop *l, struct watch *w, uint32_t events)
{
	struct udp_flow *f = container_of(w, struct udp_flow, gate);
	int r = 0;

	if (events & EPOLLOUT)
		r = buf_send(&f->to, w->fd);
	if (r == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = datagrams_read(&f->from, w->fd, give, f);
	if (r < 0)
		on_closed(f);
	else
		loop_rewatch(l, w, EPOLLIN | (buf_len(&f->to) ? EPOLLOUT : 0u));
}

static struct list *bucket(struct udp *u, const struct packet *d)
{
	unsigned h = d->sport * 31u + d->dport;

	for (size_t i = 12; i < 16; i++)
		h = h * 31u + d->src[i] * 7u + d->dst[i];
	return &u->flows[h % BUCKETS];
}

static struct udp_flow *find(struct list *in, const struct packet *d)
{
	list_for_each (it, in) {
		struct udp_flow *f = list_entry(it, struct udp_flow, link);

		if (f->sport == d->sport && f->dport == d->dport &&
			memcmp(f->src, d->src, 16) == 0 &&
			memcmp(f->dst, d->dst, 16) == 0)
			return f;
	}
	return NULL;
}

static struct udp_flow *flow_new(
	struct udp *u, struct list *in, const struct packet *d)
{
	struct egress_head h = {.proto = EGRESS_UDP, .port = d->dport};
	uint8_t head[EGRESS_HEAD];
	struct udp_flow *f;
	int fd = -1;

	if (u->n >= UDP_FLOWS_MAX || vsock_dial(PORT_EGRESS, &fd) < 0)
		return NULL;
	f = xnew(struct udp_flow);
	f->u = u;
	memcpy(f->src, d->src, 16);
	memcpy(f->dst, d->dst, 16);
	f->sport = d->sport;
	f->dport = d->dport;
	f->began_ms = f->active_ms = now_ms();
	buf_init(&f->to, 2u * (DATAGRAM_HEAD + PACKET_MAX));
	buf_init(&f->from, DATAGRAM_HEAD + PACKET_MAX + DATAGRAM_READ);
	if (loop_watch(u->net->loop, &f->gate, fd, EPOLLIN | EPOLLOUT,
		    on_gate) < 0) {
		closep(&fd);
		free(f);
		return NULL;
	}
	memcpy(h.addr, d->dst, 16);
	egress_put(head, &h);
	(void)buf_put(&f->to, head, sizeof(head));
	list_add_tail(in, &f->link);
	u->n++;
	loop_timer(u->net->loop, &f->timer, UDP_FLOW_IDLE_MS, on_time);
	return f;
}

static void on_datagram(
	struct udp *u, const struct packet *d, const uint8_t *p, size_t n)
{
	struct list *in = bucket(u, d);
	struct udp_flow *f = find(in, d);
	size_t len;

	if (!f)
		f = flow_new(u, in, d);
	if (!f)
		return;
	if (f->gate.fd < 0) {
		len = packet_unreachable(p, n, d, u->out);
		if (write(u->tun.fd, u->out, len) < 0)
			return;
		return;
	}
	f->active_ms = now_ms();
	datagrams_put(&f->to, d->payload, d->len);
	loop_rewatch(u->net->loop, &f->gate, EPOLLIN | EPOLLOUT);
}

/* Nobody is there; the kernel itself sends some now and then. */
static bool is_multicast(const uint8_t a[16])
{
	return a[0] == 0xff || (a[10] == 0xff && a[11] == 0xff && a[12] >= 224);
}

static void on_tun(struct loop *l, struct watch *w, uint32_t events)
{
	struct udp *u = container_of(w, struct udp, tun);
	struct packet d;

	for (unsigned i = 0; i < PACKETS_PER_EVENT; i++) {
		ssize_t n = read(w->fd, u->in, sizeof(u->in));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) { /* somebody took eth0 away */
			loop_unwatch(l, w);
			return;
		}
		if (packet_parse(u->in, (size_t)n, &d) < 0)
			modules_hurry(); /* TCP: the redirect is not there */
		else if (!is_multicast(d.dst))
			on_datagram(u, &d, u->in, (size_t)n);
	}
}

int udp_start(struct net *n, int tun)
{
	struct udp *u = xnew(struct udp);
	int r;

	u->net = n;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&u->flows[i]);
	r = loop_watch(n->loop, &u->tun, tun, EPOLLIN, on_tun);
	if (r < 0) {
		free(u);
		return r;
	}
	n->udps = u;
	return 0;
}
