/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer - whoever sends to a published UDP port. A sender and the port's socket
 * are a stream of their own (udp.h), that has no descriptor towards the world:
 * answers leave by the port's socket. Bounded: a new sender takes the place of
 * the one that was silent longest. Senders are on the host or beyond; what
 * they claim to be is only ever used to answer them. Loop thread only.
 */
#ifndef GATE_PEER_H
#define GATE_PEER_H

#include "gate/stream.h"
#include <sys/socket.h>

#define PEERS_MAX 256u

struct peer {
	struct list link; /* gate.peers; heard of last comes first */
	struct stream *s; /* owns it */
	uint64_t port;    /* the socket it wrote to, by SO_COOKIE */
	struct sockaddr_storage addr;
	socklen_t len;
};

/* Datagrams wait at a published port: the socket fd for guest's port. */
void peer_event(struct gate *g, int fd, uint64_t cookie, uint16_t guest);
/* To whoever the stream belongs to. 0 or -errno. */
int peer_send(const struct stream *s, const uint8_t *p, size_t len);
/* The stream ends. NULL is fine. */
void peer_free(struct gate *g, struct peer *p);

#endif
