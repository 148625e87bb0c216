/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/packet.h"

#include <errno.h>
#include <string.h>

#define V4_HEAD 20u
#define V6_HEAD 40u
#define UDP_HEAD 8u
#define ICMP_HEAD 8u
#define PROTO_ICMP 1u
#define PROTO_UDP 17u
#define PROTO_ICMP6 58u
#define TTL 64u
#define QUOTED_MAX 512u /* of the packet that is answered */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool is_v4(const uint8_t a[16])
{
	return memcmp(a, mapped, sizeof(mapped)) == 0;
}

static void set_v4(uint8_t to[16], const uint8_t *from)
{
	memcpy(to, mapped, sizeof(mapped));
	memcpy(to + 12, from, 4);
}

/* RFC 791: the head's length and what follows it; 0 refused. */
static size_t parse_v4(const uint8_t *p, size_t *n, struct packet *d)
{
	size_t head, total;

	if (*n < V4_HEAD)
		return 0;
	head = 4u * (p[0] & 15u);
	total = get16(p + 2);
	if (head < V4_HEAD || total < head || total > *n)
		return 0;
	/* More fragments, or not the first one. */
	if ((get16(p + 6) & 0x3fffu) || p[9] != PROTO_UDP)
		return 0;
	set_v4(d->src, p + 12);
	set_v4(d->dst, p + 16);
	*n = total;
	return head;
}

/* RFC 8200 section 3. */
static size_t parse_v6(const uint8_t *p, size_t *n, struct packet *d)
{
	size_t len;

	if (*n < V6_HEAD)
		return 0;
	len = get16(p + 4);
	if (V6_HEAD + len > *n || p[6] != PROTO_UDP)
		return 0;
	memcpy(d->src, p + 8, 16);
	memcpy(d->dst, p + 24, 16);
	*n = V6_HEAD + len;
	return is_v4(d->src) || is_v4(d->dst) ? 0 : V6_HEAD;
}

int packet_parse(const uint8_t *p, size_t n, struct packet *ret)
{
	struct packet d;
	size_t head = 0, len;

	if (n > 0 && p[0] >> 4 == 4)
		head = parse_v4(p, &n, &d);
	else if (n > 0 && p[0] >> 4 == 6)
		head = parse_v6(p, &n, &d);
	if (head == 0 || n < head + UDP_HEAD)
		return -EBADMSG;
	len = get16(p + head + 4);
	if (len < UDP_HEAD || len > n - head)
		return -EBADMSG;
	d.sport = get16(p + head);
	d.dport = get16(p + head + 2);
	d.payload = p + head + UDP_HEAD;
	d.len = len - UDP_HEAD;
	if (d.sport == 0 || d.dport == 0)
		return -EBADMSG;
	*ret = d;
	return 0;
}

/* RFC 1071. */
static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (; n > 1; p += 2, n -= 2)
		s += get16(p);
	if (n)
		s += (uint32_t)p[0] << 8;
	return (s & 0xffffu) + (s >> 16);
}

static uint16_t fold(uint32_t s)
{
	s = (s & 0xffffu) + (s >> 16);
	s = (s & 0xffffu) + (s >> 16);
	return (uint16_t)~s;
}

/* What both UDP and ICMPv6 sum up besides themselves. */
static uint32_t pseudo(const uint8_t *src, const uint8_t *dst, size_t addr_len,
	uint8_t proto, size_t len)
{
	uint32_t s = sum(0, src, addr_len);

	s = sum(s, dst, addr_len);
	return s + proto + (uint32_t)len;
}

/* The IP header for len bytes behind it; its length. */
static size_t put_head(uint8_t *out, const uint8_t src[16],
	const uint8_t dst[16], uint8_t proto, size_t len)
{
	if (is_v4(src)) {
		memset(out, 0, V4_HEAD);
		out[0] = 0x45;
		put16(out + 2, (uint16_t)(V4_HEAD + len));
		out[8] = TTL;
		out[9] = proto;
		memcpy(out + 12, src + 12, 4);
		memcpy(out + 16, dst + 12, 4);
		put16(out + 10, fold(sum(0, out, V4_HEAD)));
		return V4_HEAD;
	}
	memset(out, 0, V6_HEAD);
	out[0] = 0x60;
	put16(out + 4, (uint16_t)len);
	out[6] = proto;
	out[7] = TTL;
	memcpy(out + 8, src, 16);
	memcpy(out + 24, dst, 16);
	return V6_HEAD;
}

static uint16_t checksum(const uint8_t src[16], const uint8_t dst[16],
	uint8_t proto, const uint8_t *p, size_t len)
{
	bool v4 = is_v4(src);
	uint32_t s = pseudo(v4 ? src + 12 : src, v4 ? dst + 12 : dst,
		v4 ? 4 : 16, proto, len);

	return fold(sum(s, p, len));
}

size_t packet_make(const struct packet *d, uint8_t out[PACKET_MAX])
{
	size_t len = UDP_HEAD + d->len, head;
	uint16_t check;

	if (d->len > PACKET_UDP_MAX - (V6_HEAD - V4_HEAD))
		return 0;
	head = put_head(out, d->src, d->dst, PROTO_UDP, len);
	put16(out + head, d->sport);
	put16(out + head + 2, d->dport);
	put16(out + head + 4, (uint16_t)len);
	put16(out + head + 6, 0);
	memcpy(out + head + UDP_HEAD, d->payload, d->len);
	check = checksum(d->src, d->dst, PROTO_UDP, out + head, len);
	/* 0 would say "none" (RFC 768). */
	put16(out + head + 6, check ? check : 0xffff);
	return head + len;
}

size_t packet_unreachable(const uint8_t *p, size_t n, const struct packet *d,
	uint8_t out[PACKET_MAX])
{
	bool v4 = is_v4(d->src);
	size_t quoted = MIN(n, QUOTED_MAX), len = ICMP_HEAD + quoted, head;
	uint8_t proto = v4 ? PROTO_ICMP : PROTO_ICMP6;
	uint8_t *icmp;

	head = put_head(out, d->dst, d->src, proto, len);
	icmp = out + head;
	memset(icmp, 0, ICMP_HEAD);
	icmp[0] = v4 ? 3 : 1;
	icmp[1] = v4 ? 3 : 4;
	memcpy(icmp + ICMP_HEAD, p, quoted);
	put16(icmp + 2,
		v4 ? fold(sum(0, icmp, len))
		   : checksum(d->dst, d->src, proto, icmp, len));
	return head + len;
}
