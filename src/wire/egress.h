/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress - how the agent asks the gate for a connection: a stream to
 * PORT_EGRESS begins with this header, then carries the bytes. For UDP each
 * datagram follows as le16 length and payload, both ways. There is no answer:
 * a refused stream is reset.
 *
 * The other way, a published port: the gate opens a stream to PORT_INBOUND of
 * the guest and begins it with the same header, the address being zero. The
 * agent connects to that port of the guest's own loopback, or resets.
 *
 * A stream to PORT_DNS carries DNS messages as on TCP (RFC 1035 4.2.2): a
 * big-endian 16-bit length before each.
 */
#ifndef WIRE_EGRESS_H
#define WIRE_EGRESS_H

#include "wire/wire.h"

#define EGRESS_HEAD 24u
#define EGRESS_VERSION 1u
#define EGRESS_TCP 1u
#define EGRESS_UDP 2u

struct egress_head {
	uint8_t proto; /* EGRESS_TCP, EGRESS_UDP */
	uint16_t port;
	uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
};

/* u8 version, u8 proto, le16 port, 4 zero bytes, 16 bytes address. */
void egress_put(uint8_t out[EGRESS_HEAD], const struct egress_head *h);
/* 0, or -EBADMSG for anything but a header of this version. */
int egress_get(const uint8_t in[EGRESS_HEAD], struct egress_head *ret);

#endif
