/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/chain.h"

#include <errno.h>
#include <string.h>

static bool fits(const char *line, size_t len, const char *last)
{
	const size_t tail = strlen(CHAIN_KEY) + SHA256_HEX - 1 + 2;
	const char *p = line + len - tail;

	if (len < tail || memcmp(p, CHAIN_KEY, strlen(CHAIN_KEY)) != 0)
		return false;
	return !last[0] ||
		memcmp(p + strlen(CHAIN_KEY), last, SHA256_HEX - 1) == 0;
}

int chain_verify(const char *text, size_t len, char last[SHA256_HEX],
	uint64_t *ret_lines)
{
	uint64_t lines = 0;
	const char *end;

	for (; len > 0; len -= (size_t)(end + 1 - text), text = end + 1) {
		end = memchr(text, '\n', len);
		lines++;
		*ret_lines = lines;
		if (!end || !fits(text, (size_t)(end - text), last))
			return -EBADMSG;
		digest_of(text, (size_t)(end - text), last);
	}
	*ret_lines = lines;
	return 0;
}
