/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net - every TCP connection that the guest opens ends here: its original
 * destination goes in a header (wire/egress.h) on a vsock stream to the gate,
 * then bytes go both ways, half-closes and resets as well. DNS over UDP and
 * TCP on the agent's own address goes to the gate's resolver.
 *
 * Nothing here is a wall: that is the gate. Bounded in number; the guest's
 * processes are not trusted to be friendly to each other.
 */
#ifndef AGENT_NET_H
#define AGENT_NET_H

#include "base/err.h"
#include "base/loop.h"

#define NET_FLOWS_MAX 16384u
#define NET_QUERIES_MAX 512u
#define NET_SCRATCH (64u * 1024u)

struct net {
	struct loop *loop;
	struct watch v4, v6; /* redirected connections */
	struct watch dns4;   /* DNS on TCP */
	struct watch udp;    /* DNS on UDP */
	struct watch in;     /* published ports, from the gate */
	struct list flows;
	struct list queries;
	struct list inbounds; /* of them those whose header or port is due */
	size_t n_flows;
	size_t n_queries;
	uint8_t *scratch; /* NET_SCRATCH; within one callback only */
	struct udp *udps; /* of net_udp.c; NULL before it starts */
};

/* Both are connected and become the flow's; it is counted already. */
void net_relay(struct net *n, int app, int gate);
/* Takes an accepted connection; opens a stream to that port of the host. */
void net_dial(struct net *n, int fd, uint32_t port);
/* net_in.c: listens for the gate. 0 or -errno. */
int net_in_start(struct net *n);
/* A stream of a published UDP port, counted already; taken over when 0. */
int net_in_udp(struct net *n, int gate, uint16_t port);

/* Interface, redirect, resolver. Without them the sandbox has no network. */
int net_start(struct net *n, struct loop *loop, struct err *err);

#endif
