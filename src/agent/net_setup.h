/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_setup - the guest's network without a card: a tun interface with
 * default routes, and one nftables table that turns every outgoing TCP
 * connection, of local processes and of containers behind bridges, to the
 * agent. Raw netlink, because a template need not have ip or nft. What goes
 * out in another way than TCP is read from the tun (net_udp.c).
 */
#ifndef AGENT_NET_SETUP_H
#define AGENT_NET_SETUP_H

#include "base/err.h"

/* gate/names.h keeps the first synthetic addresses for these. */
#define NET_IFNAME "eth0"
#define NET_V4 "198.18.0.2"
#define NET_V4_BITS 15
#define NET_V6 "fdc0:7e00::2"
#define NET_V6_BITS 64
#define NET_MTU 65535u /* no datagram is cut in pieces */
#define NET_PORT 3129u /* the agent's, where redirected connections arrive */

/* The interface, its addresses and routes. *ret_tun: its packets, without a
 * header in front; the caller's. 0 or -errno with text. */
int net_setup(int *ret_tun, struct err *err);
/* The table; in any process of the guest, after net_setup(). */
int net_redirect(struct err *err);
/* /etc/resolv.conf names the agent; root is "/" or a test's directory. */
int net_resolv_conf(const char *root, struct err *err);

#endif
