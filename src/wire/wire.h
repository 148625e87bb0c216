/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire - byte layouts between processes and across the wall. Everything is
 * little-endian and bounded; decoders treat their input as hostile and touch
 * nothing outside it. No I/O here.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/util.h"

#define WIRE_VERSION 1

/* vsock ports (docs/architecture.md). The host is CID 2, every guest CID 3. */
#define VSOCK_HOST_CID 2u
#define VSOCK_GUEST_CID 3u
#define PORT_CONTROL 1024u /* guest dials out when it is up */
#define PORT_EXEC 1025u    /* guest listens: exec and file streams */
#define PORT_SHARE 1026u   /* guest listens: cove-devices revokes caches */
#define PORT_INBOUND 1027u /* guest listens: published ports */
#define PORT_DOCKER 1028u  /* guest listens: the Docker socket of the guest */
#define PORT_SSH 1029u     /* guest dials coved: the SSH agent */
#define PORT_DNS 53u       /* guest dials the gate */
#define PORT_EGRESS 3128u  /* guest dials the gate */

static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t get_le32(const uint8_t *p)
{
	return get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}
/* The order of other people's formats. */
static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

#endif
