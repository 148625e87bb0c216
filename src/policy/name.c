/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define LABEL_MAX 63

static int canon_char(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c + ('a' - 'A');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		c == '_' || c == '.')
		return c;
	return -1;
}

/* Labels of 1-63 bytes; no hyphen at either end (RFC 1123 section 2.1). */
static bool labels_valid(const struct hostname *n)
{
	size_t start = 0;

	for (size_t i = 0; i <= n->len; i++) {
		if (i < n->len && n->s[i] != '.')
			continue;
		if (i == start || i - start > LABEL_MAX)
			return false;
		if (n->s[start] == '-' || n->s[i - 1] == '-')
			return false;
		start = i + 1;
	}
	return true;
}

/*
 * A last label of digits only, or 0x..., is an address in some resolver's
 * eyes (WHATWG URL section 3.5): never a name.
 */
static bool looks_numeric(const struct hostname *n)
{
	const char *last = memrchr(n->s, '.', n->len);
	size_t len;

	last = last ? last + 1 : n->s;
	len = strlen(last);
	if (strspn(last, "0123456789") == len)
		return true;
	return len >= 2 && last[0] == '0' && last[1] == 'x' &&
		strspn(last + 2, "0123456789abcdef") == len - 2;
}

int name_parse(const char *p, size_t len, struct hostname *ret)
{
	struct hostname n = {.len = 0};
	int c;

	if (len > 0 && p[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_LEN)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		c = canon_char((uint8_t)p[i]);
		if (c < 0)
			return -EINVAL;
		n.s[i] = (char)c;
	}
	n.len = (uint8_t)len;
	if (!labels_valid(&n) || looks_numeric(&n))
		return -EINVAL;
	*ret = n;
	return 0;
}

bool name_equal(const struct hostname *a, const struct hostname *b)
{
	return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void set_v4(struct address *a, const uint8_t v4[4])
{
	memcpy(a->b, v4_mapped, sizeof(v4_mapped));
	memcpy(a->b + 12, v4, 4);
}

/* glibc's and musl's inet_pton(AF_INET) are strict: no octal, no short form. */
int address_parse(const char *p, size_t len, struct address *ret)
{
	char text[INET6_ADDRSTRLEN + 2];
	struct address a;
	uint8_t v4[4];

	if (len >= 2 && p[0] == '[' && p[len - 1] == ']') {
		p++;
		len -= 2;
		if (!memchr(p, ':', len))
			return -EINVAL;
	}
	if (len == 0 || len >= sizeof(text) || memchr(p, '\0', len))
		return -EINVAL;
	memcpy(text, p, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, v4) == 1) {
		set_v4(ret, v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, a.b) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

bool address_is_v4(const struct address *a)
{
	return memcmp(a->b, v4_mapped, sizeof(v4_mapped)) == 0;
}

const char *address_format(const struct address *a, char *buf, size_t len)
{
	int family = address_is_v4(a) ? AF_INET : AF_INET6;
	const uint8_t *p = address_is_v4(a) ? a->b + 12 : a->b;

	return inet_ntop(family, p, buf, (socklen_t)len) ? buf : "";
}

struct range {
	uint8_t prefix[4];
	uint8_t bits;
	enum address_class class;
};

/* IANA IPv4 special-purpose registry. */
static const struct range v4_ranges[] = {
	{{0, 0, 0, 0}, 8, ADDR_RESERVED},
	{{10, 0, 0, 0}, 8, ADDR_PRIVATE},
	{{100, 64, 0, 0}, 10, ADDR_PRIVATE},
	{{127, 0, 0, 0}, 8, ADDR_LOOPBACK},
	{{169, 254, 0, 0}, 16, ADDR_LINKLOCAL},
	{{172, 16, 0, 0}, 12, ADDR_PRIVATE},
	{{192, 0, 0, 0}, 24, ADDR_RESERVED},
	{{192, 0, 2, 0}, 24, ADDR_PRIVATE},
	{{192, 88, 99, 0}, 24, ADDR_RESERVED},
	{{192, 168, 0, 0}, 16, ADDR_PRIVATE},
	{{198, 18, 0, 0}, 15, ADDR_PRIVATE},
	{{198, 51, 100, 0}, 24, ADDR_PRIVATE},
	{{203, 0, 113, 0}, 24, ADDR_PRIVATE},
	{{224, 0, 0, 0}, 4, ADDR_RESERVED},
	{{240, 0, 0, 0}, 4, ADDR_RESERVED},
};

static bool prefix_match(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

static enum address_class classify_v4(const uint8_t v4[4])
{
	for (size_t i = 0; i < ARRAY_SIZE(v4_ranges); i++) {
		const struct range *r = &v4_ranges[i];

		if (prefix_match(v4, r->prefix, r->bits))
			return r->class;
	}
	return ADDR_PUBLIC;
}

static bool v6_prefix(const struct address *a, const char *text, unsigned bits)
{
	uint8_t b[16];

	return inet_pton(AF_INET6, text, b) == 1 && prefix_match(a->b, b, bits);
}

enum address_class address_classify(const struct address *a)
{
	static const uint8_t zero[16];

	if (address_is_v4(a))
		return classify_v4(a->b + 12);
	if (memcmp(a->b, zero, 15) == 0)
		return a->b[15] == 1 ? ADDR_LOOPBACK : ADDR_RESERVED;
	if (memcmp(a->b, zero, 12) == 0 || v6_prefix(a, "64:ff9b::", 96))
		return classify_v4(a->b + 12);
	if (v6_prefix(a, "64:ff9b:1::", 48))
		return ADDR_PRIVATE;
	if (v6_prefix(a, "2002::", 16))
		return classify_v4(a->b + 2);
	if (v6_prefix(a, "fe80::", 10))
		return ADDR_LINKLOCAL;
	if (v6_prefix(a, "fc00::", 7) || v6_prefix(a, "fec0::", 10) ||
		v6_prefix(a, "2001:db8::", 32))
		return ADDR_PRIVATE;
	if (v6_prefix(a, "2000::", 3) && !v6_prefix(a, "2001::", 23))
		return ADDR_PUBLIC;
	return ADDR_RESERVED;
}

const char *address_class_name(enum address_class c)
{
	static const char *const names[] = {
		"public", "loopback", "private", "link-local", "reserved"};

	return names[c];
}
