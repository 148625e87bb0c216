/* SPDX-License-Identifier: Apache-2.0 */
/* base64 - RFC 4648 section 4, strict: whole groups with their padding. */
#ifndef HTTP_BASE64_H
#define HTTP_BASE64_H

#include "base/buf.h"

/* 0 or -ENOBUFS. */
int base64_put(struct buf *out, const void *p, size_t len);
/* -EINVAL, or -ENOBUFS when dst is too small. */
int base64_decode(
	const char *s, size_t len, char *dst, size_t size, size_t *ret);

#endif
