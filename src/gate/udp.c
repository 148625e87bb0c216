/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/udp.h"

#include "gate/judge.h"
#include "gate/limit.h"
#include "gate/peer.h"
#include "wire/datagrams.h"
#include "wire/wire.h"
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define READS_PER_EVENT 16u

static int connect_to(const struct address *a, uint16_t port)
{
	struct sockaddr_in a4 = {
		.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 a6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool v4 = address_is_v4(a);
	_cleanup_close_ int fd = socket(v4 ? AF_INET : AF_INET6,
		SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	memcpy(&a4.sin_addr, a->b + 12, 4);
	memcpy(&a6.sin6_addr, a->b, 16);
	r = v4 ? connect(fd, (struct sockaddr *)&a4, sizeof(a4))
	       : connect(fd, (struct sockaddr *)&a6, sizeof(a6));
	return r < 0 ? -errno : TAKE_FD(fd);
}

static void on_idle(struct loop *l, struct timer *t)
{
	struct stream *s = container_of(t, struct stream, timer);
	uint64_t idle = now_ms() - s->active_ms;

	if (idle >= UDP_IDLE_MS)
		stream_reset(s, "end", "");
	else
		loop_timer(l, t, UDP_IDLE_MS - idle, on_idle);
}

static uint32_t wanted(const struct stream *s)
{
	return EPOLLIN | (buf_len(&s->guest.out) ? EPOLLOUT : 0u);
}

void udp_begin(struct stream *s, const struct address *addrs, size_t n)
{
	int fd = -EINVAL;

	for (size_t i = 0; i < n && fd < 0; i++) {
		fd = connect_to(&addrs[i], s->port);
		if (fd >= 0)
			s->addr = addrs[i];
	}
	if (fd < 0) {
		judge_refuse(s, 502, "error", strerror(-fd));
		return;
	}
	s->sniffing = false;
	s->net.w.fd = fd;
	udp_serve(s);
}

void udp_serve(struct stream *s)
{
	struct gate *g = s->g;

	s->state = ST_UDP;
	s->active_ms = now_ms();
	g->count.opened++;
	stream_note(s, "allow", "");
	loop_timer(&g->loop, &s->timer, UDP_IDLE_MS, on_idle);
	stream_want(s, &s->net, EPOLLIN);
	if (s->state == ST_UDP)
		stream_want(s, &s->guest, wanted(s));
}

/* Whether the datagram may go, or is lost. */
static bool may_go(struct stream *s, bool up, size_t len)
{
	struct rate *all = up ? &s->g->up : &s->g->down;
	struct rate *own = !s->limit ? NULL
		: up                 ? &s->limit->up
				     : &s->limit->down;

	return rate_allow(all, len, now_ms()) == len &&
		(!own || rate_allow(own, len, now_ms()) == len);
}

static int send_one(const struct stream *s, const uint8_t *p, size_t len)
{
	if (s->peer)
		return peer_send(s, p, len);
	return send(s->net.w.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0
		? -errno
		: 0;
}

static int from_one(void *arg, const uint8_t *p, size_t len)
{
	struct stream *s = arg;

	return may_go(s, true, len) && send_one(s, p, len) == 0 &&
			stream_moved(s, true, len)
		? -EDQUOT
		: 0;
}

static int from_guest(struct stream *s)
{
	ssize_t n =
		recv(s->guest.w.fd, s->g->scratch, GATE_SCRATCH, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	s->active_ms = now_ms();
	if (buf_put(&s->net.out, s->g->scratch, (size_t)n) < 0)
		return -EMSGSIZE;
	return datagrams_give(&s->net.out, from_one, s);
}

/* Behind a datagram that the guest has not taken yet there is no room. */
static int to_guest(struct stream *s, const uint8_t *p, size_t len)
{
	ssize_t n;

	if (s->state == ST_KNOCK) { /* what fits waits for the answer */
		(void)buf_put(&s->guest.out, p, len);
		return 0;
	}
	if (buf_len(&s->guest.out))
		return 0;
	n = send(s->guest.w.fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n < len)
		(void)buf_put(&s->guest.out, p + n, len - (size_t)n);
	return 0;
}

/* p has room for the length in front. */
static int deliver(struct stream *s, uint8_t *p, size_t len)
{
	int r;

	if (!may_go(s, false, len))
		return 0;
	s->active_ms = now_ms();
	put_le16(p, (uint16_t)len);
	r = to_guest(s, p, DATAGRAM_HEAD + len);
	return stream_moved(s, false, len) ? -EDQUOT : r;
}

static int from_net(struct stream *s)
{
	uint8_t *p = s->g->scratch;
	int r = 0;

	for (unsigned i = 0; i < READS_PER_EVENT && r == 0; i++) {
		ssize_t n = recv(s->net.w.fd, p + DATAGRAM_HEAD,
			GATE_SCRATCH - DATAGRAM_HEAD, MSG_DONTWAIT);

		/* What ICMP says of it is as if it had been lost. */
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n >= 0)
			r = deliver(s, p, (size_t)n);
	}
	return r;
}

static void end(struct stream *s, int r)
{
	if (r == -EDQUOT)
		stream_reset(s, "cut", "the network quota is used up");
	else if (r < 0)
		stream_reset(s, "end", "");
	else
		stream_want(s, &s->guest, wanted(s));
}

void udp_from_peer(struct stream *s, uint8_t *p, size_t len)
{
	bool served = s->state == ST_UDP;
	int r = stream_over_quota(s) ? -EDQUOT : deliver(s, p, len);

	if (r < 0 || served)
		end(s, r);
}

void udp_event(struct stream *s, struct side *side, uint32_t events)
{
	bool guest = side == &s->guest;
	int r = stream_over_quota(s) ? -EDQUOT : 0;

	if (r == 0 && guest && (events & EPOLLOUT))
		r = buf_send(&s->guest.out, s->guest.w.fd);
	if (r == 0 && guest && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		r = from_guest(s);
	if (r == 0 && !guest)
		r = from_net(s);
	end(s, r);
}
