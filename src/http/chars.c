/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chars.h"

#define T HTTP_C_TOKEN
#define V HTTP_C_VALUE
#define G HTTP_C_TARGET
#define X HTTP_C_HEX
#define H HTTP_C_HOST

const uint8_t http_chars[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = T | V | G | H,
	['"'] = V,
	['#'] = T | V,
	['$'] = T | V | G | H,
	['%'] = T | V | G | H,
	['&'] = T | V | G | H,
	['\''] = T | V | G | H,
	['('] = V | G | H,
	[')'] = V | G | H,
	['*'] = T | V | G | H,
	['+'] = T | V | G | H,
	/* A list separator in Host would make one value look like two. */
	[','] = V | G,
	['-'] = T | V | G | H,
	['.'] = T | V | G | H,
	['/'] = V | G,
	['0' ... '9'] = T | V | G | X | H,
	[':'] = V | G | H,
	[';'] = V | G | H,
	['<'] = V,
	['='] = V | G | H,
	['>'] = V,
	['?'] = V | G,
	['@'] = V | G,
	['A' ... 'F'] = T | V | G | X | H,
	['G' ... 'Z'] = T | V | G | H,
	/* Not in RFC 3986, but every browser sends them raw in queries. */
	['['] = V | G | H,
	['\\'] = V,
	[']'] = V | G | H,
	['^'] = T | V | G,
	['_'] = T | V | G | H,
	['`'] = T | V | G,
	['a' ... 'f'] = T | V | G | X | H,
	['g' ... 'z'] = T | V | G | H,
	['{'] = V | G,
	['|'] = T | V | G,
	['}'] = V | G,
	['~'] = T | V | G | H,
	[0x80 ... 0xff] = V,
};

#undef T
#undef V
#undef G
#undef X
#undef H

bool http_all(const char *s, size_t len, unsigned class)
{
	for (size_t i = 0; i < len; i++)
		if (!http_is((uint8_t)s[i], class))
			return false;
	return true;
}

unsigned http_hex(uint8_t c)
{
	if (c <= '9')
		return c - (unsigned)'0';
	return (c | 0x20u) - (unsigned)'a' + 10u;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool http_eq_ci(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower((uint8_t)a[i]) != lower((uint8_t)b[i]))
			return false;
	return true;
}
