/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's proxy answers; a first byte chooses proxy and step. */
#include "gate/upstream.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const urls[] = {
		"http://a:1", "socks5://a:1", "socks5://u:p@a:1"};
	struct upstream u;
	char why[160];
	size_t used;
	int r;

	if (size < 1 || size > UPSTREAM_ANSWER_MAX)
		return 0;
	assert(upstream_parse(urls[data[0] % 3], NULL, &u, NULL) == 0);
	r = upstream_hear(&u, data[0] / 3 % 3, data + 1, size - 1, &used, why,
		sizeof(why));
	assert(used <= size - 1);
	assert(r <= 2 && (r <= 0 || used > 0));
	upstream_done(&u);
	return 0;
}
