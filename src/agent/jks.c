/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There is no specification; sun.security.provider.JavaKeyStore is one. Numbers
 * are big-endian:
 *
 *   magic, version 2, number of entries
 *   entry: kind 2 (certificate), alias, milliseconds since the epoch,
 *          "X.509", certificate in DER; texts have a length of two bytes
 *   SHA-1 of the password in UTF-16, "Mighty Aphrodite", and all before it
 *
 * The digest keeps out mistakes, not people; its password is "changeit".
 */
#include "agent/jks.h"

#include "wire/wire.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define MAGIC 0xfeedfeedu
#define DIGEST 20u
#define DER_MAX 8192u
#define ALIAS "cove"

/* ---- SHA-1, FIPS 180-4 ---- */

struct sha1 {
	uint32_t h[5];
	uint8_t block[64];
	uint64_t len;
};

static uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The round's function and constant. */
static uint32_t mix(unsigned t, uint32_t b, uint32_t c, uint32_t d)
{
	if (t < 20)
		return ((b & c) | (~b & d)) + 0x5a827999u;
	if (t < 40)
		return (b ^ c ^ d) + 0x6ed9eba1u;
	if (t < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
	return (b ^ c ^ d) + 0xca62c1d6u;
}

static void sha1_block(struct sha1 *s)
{
	uint32_t w[80], v[5];

	for (unsigned t = 0; t < 16; t++)
		w[t] = get_be32(s->block + 4 * t);
	for (unsigned t = 16; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	memcpy(v, s->h, sizeof(v));
	for (unsigned t = 0; t < 80; t++) {
		uint32_t a = rotate(v[0], 5) + mix(t, v[1], v[2], v[3]) + v[4] +
			w[t];

		v[4] = v[3];
		v[3] = v[2];
		v[2] = rotate(v[1], 30);
		v[1] = v[0];
		v[0] = a;
	}
	for (int i = 0; i < 5; i++)
		s->h[i] += v[i];
}

static void sha1_add(struct sha1 *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		s->block[s->len++ % 64] = p[i];
		if (s->len % 64 == 0)
			sha1_block(s);
	}
}

static void sha1_end(struct sha1 *s, uint8_t ret[DIGEST])
{
	uint64_t bits = s->len * 8;
	uint8_t tail[8];

	sha1_add(s, "\x80", 1);
	while (s->len % 64 != 56)
		sha1_add(s, "", 1);
	put_be32(tail, (uint32_t)(bits >> 32));
	put_be32(tail + 4, (uint32_t)bits);
	sha1_add(s, tail, sizeof(tail));
	for (int i = 0; i < 5; i++)
		put_be32(ret + 4 * i, s->h[i]);
}

static void digest(const uint8_t *p, size_t len, uint8_t ret[DIGEST])
{
	static const char password[] = "\0c\0h\0a\0n\0g\0e\0i\0t";
	struct sha1 s = {.h = {0x67452301u, 0xefcdab89u, 0x98badcfeu,
				 0x10325476u, 0xc3d2e1f0u}};

	sha1_add(&s, password, sizeof(password) - 1);
	sha1_add(&s, "Mighty Aphrodite", 16);
	sha1_add(&s, p, len);
	sha1_end(&s, ret);
}

/* ---- PEM ---- */

static int six_bits(char c)
{
	static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
				  "stuvwxyz0123456789+/";
	const char *p = c ? strchr(all, c) : NULL;

	return p ? (int)(p - all) : -1;
}

/* The first certificate; its length, or 0. */
static size_t pem_decode(const char *pem, uint8_t *der, size_t max)
{
	const char *p = strstr(pem, "-----BEGIN CERTIFICATE-----");
	uint32_t group = 0;
	unsigned bits = 0;
	size_t n = 0;

	for (p = p ? strchr(p, '\n') : NULL; p && *p && *p != '-'; p++) {
		int v = six_bits(*p);

		if (v < 0)
			continue;
		group = group << 6 | (uint32_t)v;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == max)
			return 0;
		der[n++] = (uint8_t)(group >> bits);
	}
	return n;
}

/* ---- the store ---- */

static void put(struct buf *b, const void *p, size_t len)
{
	(void)buf_put(b, p, len); /* there is room */
}

static void put_number(struct buf *b, uint32_t v)
{
	uint8_t be[4];

	put_be32(be, v);
	put(b, be, sizeof(be));
}

static void put_entry(struct buf *b, const uint8_t *der, size_t n)
{
	uint64_t ms = (uint64_t)time(NULL) * 1000;

	put_number(b, 2);
	put(b, "\0\4" ALIAS, 2 + strlen(ALIAS));
	put_number(b, (uint32_t)(ms >> 32));
	put_number(b, (uint32_t)ms);
	put(b, "\0\5X.509", 7);
	put_number(b, (uint32_t)n);
	put(b, der, n);
}

int jks_add(const uint8_t *store, size_t len, const char *pem, struct buf *ret)
{
	uint8_t der[DER_MAX], sum[DIGEST];
	size_t n = pem_decode(pem, der, sizeof(der));
	uint32_t count;

	if (n == 0 || len < 12 + DIGEST || len > JKS_MAX - DER_MAX - 64 ||
		get_be32(store) != MAGIC || get_be32(store + 4) != 2)
		return -EINVAL;
	len -= DIGEST;
	digest(store, len, sum);
	if (memcmp(sum, store + len, DIGEST) != 0)
		return -EINVAL;
	if (memmem(store, len, der, n))
		return -EEXIST;
	count = get_be32(store + 8);
	put(ret, store, 8);
	put_number(ret, count + 1);
	put_entry(ret, der, n); /* first, so that nothing has to be parsed */
	put(ret, store + 12, len - 12);
	digest(buf_head(ret), buf_len(ret), sum);
	put(ret, sum, sizeof(sum));
	return 0;
}
