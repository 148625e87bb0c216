/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a stream that a guest opens to the gate. */
#include "wire/egress.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[EGRESS_HEAD];
	struct egress_head h;

	if (size < EGRESS_HEAD || egress_get(data, &h) < 0)
		return 0;
	assert(h.proto == EGRESS_TCP || h.proto == EGRESS_UDP);
	assert(h.port != 0);
	/* One header says one thing, and no two say the same. */
	egress_put(again, &h);
	assert(memcmp(again, data, EGRESS_HEAD) == 0);
	return 0;
}
