/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name - the one canonical form of host names and addresses. Every comparison
 * in Cove (rules, DNS questions, SNI, Host, certificates) is made on it: ASCII
 * lower case, no trailing dot, labels of 1-63 letters, digits, '-' or '_', 253
 * bytes in all, A-labels for IDNA. Input is hostile; pure functions.
 */
#ifndef POLICY_NAME_H
#define POLICY_NAME_H

#include "base/util.h"

#define NAME_MAX_LEN 253

struct hostname {
	char s[NAME_MAX_LEN + 1];
	uint8_t len;
};

/* 0, or -EINVAL for anything that is not a DNS host name. */
int name_parse(const char *p, size_t len, struct hostname *ret);
bool name_equal(const struct hostname *a, const struct hostname *b);

/* IPv4 addresses are held v4-mapped (::ffff:a.b.c.d), so there is one form. */
struct address {
	uint8_t b[16];
};

/*
 * Strict: four decimal octets without leading zeros, or RFC 4291 text, with or
 * without brackets. Decimal, octal, hexadecimal and short forms are refused:
 * -EINVAL. A v4-mapped or v4-compatible text becomes the IPv4 address it is.
 */
int address_parse(const char *p, size_t len, struct address *ret);
bool address_is_v4(const struct address *a);
/* Into buf (at least 46 bytes); returns buf. */
const char *address_format(const struct address *a, char *buf, size_t len);

/* What an address may never be dialled for unless a rule names it. */
enum address_class {
	ADDR_PUBLIC,
	ADDR_LOOPBACK,
	ADDR_PRIVATE, /* RFC 1918, RFC 4193, RFC 6598, benchmark, documentation */
	ADDR_LINKLOCAL, /* 169.254/16 (cloud metadata), fe80::/10 */
	ADDR_RESERVED,  /* unspecified, multicast, broadcast, 240/4, ... */
};
/*
 * Sees through the ways to write IPv4 in IPv6: v4-mapped, v4-compatible,
 * NAT64 (64:ff9b::/96) and 6to4 (2002::/16).
 */
enum address_class address_classify(const struct address *a);
const char *address_class_name(enum address_class c);

#endif
