/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/peer.h"

#include "gate/ports.h"
#include "gate/udp.h"
#include "wire/datagrams.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define READS_PER_EVENT 16u

static struct peer *find(struct gate *g, uint64_t cookie,
	const struct sockaddr_storage *addr, socklen_t len)
{
	list_for_each (it, &g->peers) {
		struct peer *p = list_entry(it, struct peer, link);

		if (p->port == cookie && p->len == len &&
			memcmp(&p->addr, addr, len) == 0)
			return p;
	}
	return NULL;
}

static void make_room(struct gate *g)
{
	struct peer *last;

	if (g->n_peers < PEERS_MAX)
		return;
	last = list_entry(g->peers.prev, struct peer, link);
	stream_reset(last->s, "end", "too many senders");
}

static struct peer *peer_new(struct gate *g, uint16_t guest, uint64_t cookie,
	const struct sockaddr_storage *addr, socklen_t len)
{
	struct stream *s;
	struct peer *p;

	make_room(g);
	s = ports_dial(g, guest, EGRESS_UDP);
	if (!s)
		return NULL;
	p = xnew(struct peer);
	*p = (struct peer){.s = s, .port = cookie, .addr = *addr, .len = len};
	list_init(&p->link);
	g->n_peers++;
	s->peer = p;
	ports_note(addr, &s->addr);
	return p;
}

void peer_event(struct gate *g, int fd, uint64_t cookie, uint16_t guest)
{
	uint8_t *buf = g->scratch;

	for (unsigned i = 0; i < READS_PER_EVENT; i++) {
		struct sockaddr_storage addr = {0};
		socklen_t len = sizeof(addr);
		ssize_t n = recvfrom(fd, buf + DATAGRAM_HEAD,
			GATE_SCRATCH - DATAGRAM_HEAD, MSG_DONTWAIT,
			(struct sockaddr *)&addr, &len);
		struct peer *p;

		if (n < 0)
			return;
		p = find(g, cookie, &addr, len);
		if (!p && g->n_streams < GATE_STREAMS_MAX)
			p = peer_new(g, guest, cookie, &addr, len);
		if (!p) {
			g->count.dropped++;
			continue;
		}
		list_del(&p->link);
		list_add_tail(g->peers.next, &p->link);
		udp_from_peer(p->s, buf, (size_t)n);
	}
}

int peer_send(const struct stream *s, const uint8_t *p, size_t len)
{
	int fd = ports_fd(s->g, s->peer->port);

	if (fd < 0 ||
		sendto(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT,
			(const struct sockaddr *)&s->peer->addr,
			s->peer->len) < 0)
		return -EIO;
	return 0;
}

void peer_free(struct gate *g, struct peer *p)
{
	if (!p)
		return;
	list_del(&p->link);
	g->n_peers--;
	free(p);
}
