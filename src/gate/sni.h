/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sni - the server name of a TLS ClientHello (RFC 8446 section 4.1.2, RFC
 * 6066 section 3), read from the first bytes of a stream without a TLS
 * library, because a stream that is only tunnelled is never terminated.
 * Hostile input, pure.
 */
#ifndef GATE_SNI_H
#define GATE_SNI_H

#include "policy/name.h"

/* A ClientHello that needs more than this is refused. */
#define SNI_PEEK_MAX 12288u

enum sni_result {
	SNI_MORE,    /* not enough bytes yet */
	SNI_NOT_TLS, /* something else speaks here */
	SNI_NONE,    /* a ClientHello without a name */
	SNI_NAME,    /* *ret holds the name */
	SNI_BAD,     /* TLS, but broken or split in a way nobody needs */
};

/*
 * With a greeting (SNI_NONE, SNI_NAME) *ret_alien: it offers protocols (ALPN,
 * RFC 7301), and none of them is an HTTP that can be read here.
 */
enum sni_result sni_parse(
	const uint8_t *p, size_t len, struct hostname *ret, bool *ret_alien);

#endif
