/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/dns.h"

#include <errno.h>
#include <string.h>

#define HEAD 12u
#define CLASS_IN 1u

/* Header flags, RFC 1035 section 4.1.1. */
#define FLAG_QR 0x8000u
#define FLAG_OPCODE 0x7800u
#define FLAG_RD 0x0100u
#define FLAG_RA 0x0080u

static uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t *put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

/*
 * Labels as text "a.b.c". Length of the name on the wire, or 0 when it is no
 * uncompressed name within len. A byte that no host name has is kept as it
 * is: name_parse() refuses it later, and a dot inside a label becomes a
 * refused byte too, so that "a\.b" can never pass for "a.b".
 */
static size_t read_name(
	const uint8_t *p, size_t len, char text[256], size_t *ret_text_len)
{
	size_t at = 0, out = 0;

	for (;;) {
		uint8_t n;

		if (at >= len)
			return 0;
		n = p[at++];
		if (n == 0)
			break;
		if (n > 63 || at + n > len || out + n + 1 > NAME_MAX_LEN + 1)
			return 0;
		if (out > 0)
			text[out++] = '.';
		for (uint8_t i = 0; i < n; i++) {
			char c = (char)p[at + i];

			text[out++] = c == '.' ? '\1' : c;
		}
		at += n;
	}
	*ret_text_len = out;
	return at;
}

int dns_query_parse(const uint8_t *p, size_t len, struct dns_query *ret)
{
	struct dns_query q = {0};
	size_t text_len, n;
	uint16_t flags;
	char text[256];

	if (len < HEAD)
		return -EBADMSG;
	flags = get_be16(p + 2);
	if (flags & FLAG_QR)
		return -EBADMSG;
	q.id = get_be16(p);
	q.recursion = flags & FLAG_RD;
	*ret = q;
	if (flags & FLAG_OPCODE)
		return DNS_NOTIMP;
	if (get_be16(p + 4) != 1 || get_be16(p + 6) != 0)
		return DNS_FORMERR;
	n = read_name(p + HEAD, len - HEAD, text, &text_len);
	if (n == 0 || len - HEAD - n < 4)
		return DNS_FORMERR;
	q.type = get_be16(p + HEAD + n);
	if (get_be16(p + HEAD + n + 2) != CLASS_IN)
		return DNS_NOTIMP;
	q.is_name = name_parse(text, text_len, &q.name) == 0;
	q.question_len = (uint16_t)(n + 4);
	if (q.question_len > sizeof(q.question))
		return DNS_FORMERR;
	memcpy(q.question, p + HEAD, q.question_len);
	*ret = q;
	return DNS_OK;
}

size_t dns_answer(const struct dns_query *q, enum dns_rcode rcode,
	const uint8_t *addr, size_t addr_len, uint32_t ttl,
	uint8_t out[DNS_MESSAGE_MAX])
{
	uint16_t rd = q->recursion ? FLAG_RD : 0;
	uint8_t *p = out;

	p = put_be16(p, q->id);
	p = put_be16(p, (uint16_t)(FLAG_QR | FLAG_RA | rd | rcode));
	p = put_be16(p, q->question_len ? 1 : 0);
	p = put_be16(p, addr_len ? 1 : 0);
	p = put_be16(p, 0);
	p = put_be16(p, 0);
	memcpy(p, q->question, q->question_len);
	p += q->question_len;
	if (addr_len == 0)
		return (size_t)(p - out);
	p = put_be16(p, 0xc000 | HEAD); /* the question's name */
	p = put_be16(p, q->type);
	p = put_be16(p, CLASS_IN);
	p = put_be16(p, (uint16_t)(ttl >> 16));
	p = put_be16(p, (uint16_t)ttl);
	p = put_be16(p, (uint16_t)addr_len);
	memcpy(p, addr, addr_len);
	return (size_t)(p + addr_len - out);
}
