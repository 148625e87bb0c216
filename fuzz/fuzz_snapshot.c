/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot's state file; what can be read is written again, to the same. */
#include "vmm/snapshot.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct snapshot s;
	struct err err;
	struct buf b;
	int r = snapshot_decode(data, size, &s, &err);

	if (r < 0)
		return 0;
	buf_init(&b, SNAPSHOT_MAX);
	r = snapshot_encode(&s, &b);
	assert(r == 0);
	buf_done(&b);
	snapshot_done(&s);
	return 0;
}
