/* SPDX-License-Identifier: Apache-2.0 */
#include "http/base64.h"

#include <errno.h>
#include <string.h>

static const char digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_put(struct buf *out, const void *p, size_t len)
{
	const uint8_t *s = (const uint8_t *)p;
	size_t n = (len + 2) / 3 * 4;
	uint8_t *to = buf_reserve(out, n);

	if (!to)
		return -ENOBUFS;
	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t v = (uint32_t)s[i] << 16 |
			(left > 1 ? (uint32_t)s[i + 1] << 8 : 0) |
			(left > 2 ? s[i + 2] : 0u);

		*to++ = (uint8_t)digits[v >> 18];
		*to++ = (uint8_t)digits[v >> 12 & 63];
		*to++ = left > 1 ? (uint8_t)digits[v >> 6 & 63] : '=';
		*to++ = left > 2 ? (uint8_t)digits[v & 63] : '=';
	}
	buf_add(out, n);
	return 0;
}

static int value_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -EINVAL;
}

int base64_decode(
	const char *s, size_t len, char *dst, size_t size, size_t *ret)
{
	size_t pad = 0, n = 0;
	uint32_t v = 0;

	if (len % 4)
		return -EINVAL;
	while (pad < 2 && pad < len && s[len - 1 - pad] == '=')
		pad++;
	if (len / 4 * 3 - pad > size)
		return -ENOBUFS;
	for (size_t i = 0; i < len; i++) {
		int d = i < len - pad ? value_of(s[i]) : 0;

		if (d < 0)
			return d;
		v = v << 6 | (uint32_t)d;
		if (i % 4 != 3)
			continue;
		for (size_t k = 0; k < 3 && n < len / 4 * 3 - pad; k++)
			dst[n++] = (char)(v >> (16 - 8 * k));
		v = 0;
	}
	*ret = n;
	return 0;
}
