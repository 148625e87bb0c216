/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message body: every record is read in every shape, records inside records
 * too, and what was read is written again and must be the same bytes.
 */
#include "wire/tlv.h"

#include <assert.h>
#include <string.h>

#define DEPTH_MAX 4

static void read_shapes(const struct tlv *t)
{
	_cleanup_free_ char *s = NULL;
	uint32_t u32;
	uint64_t u64;

	if (tlv_u32(t, &u32) == 0)
		assert(t->len == 4);
	if (tlv_u64(t, &u64) == 0)
		assert(t->len == 8);
	if (tlv_str(t, 4096, &s) == 0)
		assert(strlen(s) == t->len);
}

/* 0, or the error at which reading ended. */
static int walk(const uint8_t *p, size_t len, int depth, struct buf *out)
{
	struct tlv_iter it = tlv_iter(p, len);
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1) {
		assert(t.p >= p && t.p + t.len <= p + len);
		read_shapes(&t);
		if (depth < DEPTH_MAX)
			walk(t.p, t.len, depth + 1, NULL);
		if (out) {
			int put = tlv_put(out, t.tag, t.p, t.len);

			assert(put == 0);
		}
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out;

	buf_init(&out, size);
	if (walk(data, size, 0, &out) == 0) {
		assert(buf_len(&out) == size);
		assert(memcmp(buf_head(&out), data, size) == 0);
	}
	buf_done(&out);
	return 0;
}
