/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dns - the little of RFC 1035 that a guest may say to the gate: one question
 * in, a short answer out, no compression in what is read. Hostile input; pure
 * functions. Answers hold synthetic addresses only, so nothing that a guest
 * asks ever travels further than this process.
 */
#ifndef GATE_DNS_H
#define GATE_DNS_H

#include "policy/name.h"

#define DNS_MESSAGE_MAX 512u

enum dns_type {
	DNS_A = 1,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
};

enum dns_rcode {
	DNS_OK = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_query {
	uint16_t id;
	bool recursion; /* RD, echoed */
	uint16_t type;
	bool is_name; /* name holds a valid host name */
	struct hostname name;
	/* The question section as it came, to be echoed (0x20 case kept). */
	uint8_t question[NAME_MAX_LEN + 2 + 4];
	uint16_t question_len;
};

/*
 * DNS_OK: answer the query. Any other code: answer with it when *ret holds an
 * id (ret->question_len may be 0); -EBADMSG: not worth an answer.
 */
int dns_query_parse(const uint8_t *p, size_t len, struct dns_query *ret);

/*
 * Writes the answer into out; returns its length. addr (4 or 16 bytes,
 * addr_len 0 = none) is the one record of the query's type, ttl in seconds.
 */
size_t dns_answer(const struct dns_query *q, enum dns_rcode rcode,
	const uint8_t *addr, size_t addr_len, uint32_t ttl,
	uint8_t out[DNS_MESSAGE_MAX]);

#endif
