/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain - lines of which each ends with the SHA-256 of the line before it, so
 * that a line that is changed or taken out shows. What is missing at the end
 * shows only to somebody who kept the last hash. Pure; input may be hostile.
 */
#ifndef TLS_CHAIN_H
#define TLS_CHAIN_H

#include "tls/digest.h"

/* What comes before the hash, which ends the line with "} */
#define CHAIN_KEY "\"prev\":\""

/*
 * Whole lines. last: the hash before the first one, "" to take the first line's
 * word for it; the last line's own afterwards. 0 and the number of lines, or
 * -EBADMSG and the line (from 1) that does not fit.
 */
int chain_verify(const char *text, size_t len, char last[SHA256_HEX],
	uint64_t *ret_lines);

#endif
