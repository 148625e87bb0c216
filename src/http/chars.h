/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chars - which bytes may stand where (RFC 9110 section 5.6.2, RFC 3986).
 * For http, and for the fields of HTTP/2 in gate.
 */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include "base/util.h"

#define HTTP_C_TOKEN 1u  /* tchar */
#define HTTP_C_VALUE 2u  /* field value: HTAB, SP, VCHAR, obs-text */
#define HTTP_C_TARGET 4u /* request target: VCHAR but no '#', '"', '<', ... */
#define HTTP_C_HEX 8u
#define HTTP_C_HOST 16u /* reg-name, address, port and brackets */

extern const uint8_t http_chars[256];

static inline bool http_is(uint8_t c, unsigned class)
{
	return (http_chars[c] & class) != 0;
}

/* True when all bytes are of the class. */
bool http_all(const char *s, size_t len, unsigned class);
/* Value of a hex digit; the caller knows that it is one. */
unsigned http_hex(uint8_t c);
bool http_eq_ci(const char *a, const char *b, size_t len);

#endif
