/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_udp - datagrams that leave by eth0: each pair of ends becomes a stream to
 * the gate (wire/egress.h), its answers become packets again. What the gate
 * does not allow is answered with "port unreachable"; ICMP and everything else
 * is dropped. Names are asked of the resolver in net.c, not here. Bounded in
 * number and time. Loop thread only.
 */
#ifndef AGENT_NET_UDP_H
#define AGENT_NET_UDP_H

#include "agent/net.h"

#define UDP_FLOWS_MAX 1024u
#define UDP_FLOW_IDLE_MS 120000u
#define UDP_DENIED_MS 3000u /* not asked again so long */

/* Takes the tun over. 0 or -errno. */
int udp_start(struct net *n, int tun);

#endif
