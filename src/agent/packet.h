/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet - the IP packets that a tun interface takes and gives, as far as UDP
 * needs: parsed from what any process of the guest sends (bounded, whole or
 * refused; no fragments, no IPv6 extension headers), and made. Pure.
 */
#ifndef AGENT_PACKET_H
#define AGENT_PACKET_H

#include "base/util.h"

#define PACKET_MAX 65535u
#define PACKET_UDP_MAX 65507u /* payload that fits IPv4 */

/* IPv4 addresses as ::ffff:a.b.c.d; ports in host order. */
struct packet {
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	const uint8_t *payload; /* borrowed */
	size_t len;
};

/* 0, or -EBADMSG for anything but one whole UDP datagram. */
int packet_parse(const uint8_t *p, size_t n, struct packet *ret);
/* From src to dst; both of one family. Length, at most PACKET_MAX; 0: it does
 * not fit. */
size_t packet_make(const struct packet *d, uint8_t out[PACKET_MAX]);
/*
 * "Port unreachable" (RFC 792, RFC 4443 3.1) for a parsed packet p: so that
 * the sender hears at once. Length.
 */
size_t packet_unreachable(const uint8_t *p, size_t n, const struct packet *d,
	uint8_t out[PACKET_MAX]);

#endif
