/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: from the text a person writes to the canonical form and back. */
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int bad(struct err *err, const char *text, const char *why)
{
	return err_set(err, EINVAL, "target '%.80s': %s", text, why);
}

/* Decimal without sign or leading zero, up to max. */
static bool number(const char *p, size_t len, unsigned max, unsigned *ret)
{
	unsigned v = 0;

	if (len == 0 || len > 5 || (len > 1 && p[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	*ret = v;
	return v <= max;
}

static bool parse_ports(const char *p, size_t len, struct policy_target *t)
{
	const char *dash = memchr(p, '-', len);
	size_t lo_len = dash ? (size_t)(dash - p) : len;
	unsigned lo, hi;

	if (!number(p, lo_len, 65535, &lo) || lo == 0)
		return false;
	hi = lo;
	if (dash && !number(dash + 1, len - lo_len - 1, 65535, &hi))
		return false;
	t->port_lo = (uint16_t)lo;
	t->port_hi = (uint16_t)hi;
	return lo <= hi;
}

/*
 * Cuts ":port" off. IPv6 text holds colons itself: a port needs brackets then.
 * Returns the length of what stands before the port, or -1.
 */
static ssize_t split_port(const char *text, struct policy_target *t)
{
	size_t len = strlen(text);
	const char *close = text[0] == '[' ? strchr(text, ']') : NULL;
	const char *colon = strrchr(close ? close : text, ':');

	t->port_hi = UINT16_MAX;
	if (!colon || (!close && strchr(text, ':') != colon))
		return (ssize_t)len;
	if (!parse_ports(colon + 1, len - (size_t)(colon + 1 - text), t))
		return -1;
	return colon - text;
}

static bool parse_cidr(const char *p, size_t len, struct policy_target *t)
{
	bool brackets = len >= 2 && p[0] == '[' && p[len - 1] == ']';
	const char *slash;
	size_t addr_len;
	unsigned max, bits;

	if (brackets) {
		p++;
		len -= 2;
	}
	slash = memchr(p, '/', len);
	addr_len = slash ? (size_t)(slash - p) : len;
	if (brackets && !memchr(p, ':', addr_len))
		return false;
	if (address_parse(p, addr_len, &t->addr) < 0)
		return false;
	max = address_is_v4(&t->addr) ? 32 : 128;
	bits = max;
	if (slash && !number(slash + 1, len - addr_len - 1, max, &bits))
		return false;
	t->kind = TARGET_CIDR;
	t->bits = (uint8_t)(128 - max + bits);
	return true;
}

/* Bits beyond the prefix would silently match something else than written. */
static bool host_bits_clear(const struct policy_target *t)
{
	for (unsigned i = t->bits; i < 128; i++) {
		if (t->addr.b[i / 8] & (0x80u >> i % 8))
			return false;
	}
	return true;
}

static bool parse_name(const char *p, size_t len, struct policy_target *t)
{
	t->kind = TARGET_NAME;
	if (len > 3 && memcmp(p, "**.", 3) == 0) {
		t->kind = TARGET_SUBTREE;
		p += 3;
		len -= 3;
	} else if (len > 2 && memcmp(p, "*.", 2) == 0) {
		t->kind = TARGET_ONE_LABEL;
		p += 2;
		len -= 2;
	}
	return name_parse(p, len, &t->name) == 0;
}

int policy_target_parse(
	const char *text, struct policy_target *ret, struct err *err)
{
	struct policy_target t = {.kind = TARGET_ANY};
	ssize_t len = split_port(text, &t);

	if (len < 0)
		return bad(err, text, "a port is 1-65535, or a range lo-hi");
	if (len == 0 && t.port_lo == 0)
		return bad(err, text, "empty; write a name, an address or **");
	if (len == 0 || (len == 2 && memcmp(text, "**", 2) == 0)) {
		*ret = t;
		return 0;
	}
	if (len == 4 && memcmp(text, "host", 4) == 0) {
		t.kind = TARGET_HOST;
	} else if (parse_cidr(text, (size_t)len, &t)) {
		if (!host_bits_clear(&t))
			return bad(err, text, "has bits set beyond its prefix");
	} else if (!parse_name(text, (size_t)len, &t)) {
		return bad(err, text,
			"neither a host name (*.name for one label, **.name for any "
			"depth) nor an address, a CIDR, host or **");
	}
	*ret = t;
	return 0;
}

static void format_cidr(const struct policy_target *t, char *buf, size_t len)
{
	bool v4 = address_is_v4(&t->addr) && t->bits >= 96;
	unsigned bits = v4 ? t->bits - 96u : t->bits;
	bool ports = t->port_lo != 0;
	char text[64];

	(void)address_format(&t->addr, text, sizeof(text));
	if (bits == (v4 ? 32 : 128))
		(void)snprintf(buf, len, ports && !v4 ? "[%s]" : "%s", text);
	else
		(void)snprintf(buf, len, ports && !v4 ? "[%s/%u]" : "%s/%u",
			text, bits);
}

const char *policy_target_format(
	const struct policy_target *t, char *buf, size_t len)
{
	static const char *const prefix[] = {[TARGET_ONE_LABEL] = "*.",
		[TARGET_SUBTREE] = "**.",
		[TARGET_NAME] = "",
		[TARGET_ANY] = "**",
		[TARGET_HOST] = "host",
		[TARGET_CIDR] = ""};
	size_t n;

	if (t->kind == TARGET_CIDR)
		format_cidr(t, buf, len);
	else
		(void)snprintf(buf, len, "%s%s", prefix[t->kind], t->name.s);
	n = strlen(buf);
	if (t->port_lo != 0 && t->port_lo == t->port_hi)
		(void)snprintf(buf + n, len - n, ":%u", t->port_lo);
	else if (t->port_lo != 0)
		(void)snprintf(
			buf + n, len - n, ":%u-%u", t->port_lo, t->port_hi);
	return buf;
}
