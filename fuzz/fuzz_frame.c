/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream cut into frames, arriving in pieces: the first byte of the
 * input is the size of the pieces. What comes out must not depend on it.
 */
#include "wire/frame.h"

#include <assert.h>

struct total {
	uint64_t sum;
	unsigned int frames;
	int end; /* 0 more bytes needed, -EBADMSG */
};

static int drain(struct buf *in, struct total *t)
{
	struct frame f;
	int r;

	while ((r = frame_peek(in, &f)) == 1) {
		assert(f.len <= FRAME_MAX);
		t->frames++;
		t->sum = t->sum * 31 + f.type;
		for (uint32_t i = 0; i < f.len; i++)
			t->sum = t->sum * 31 + f.p[i];
		buf_consume(in, FRAME_HEAD + f.len);
	}
	return r;
}

static struct total feed(const uint8_t *p, size_t len, size_t piece)
{
	struct total t = {0};
	struct buf in;

	buf_init(&in, FRAME_HEAD + FRAME_MAX + 256);
	while (len && t.end == 0) {
		size_t n = MIN(len, piece);
		int r = buf_put(&in, p, n);

		assert(r == 0);
		t.end = drain(&in, &t);
		p += n;
		len -= n;
	}
	buf_done(&in);
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct total a, b;

	if (!size)
		return 0;
	a = feed(data + 1, size - 1, MAX(data[0], 1));
	b = feed(data + 1, size - 1, 256);
	assert(a.frames == b.frames && a.sum == b.sum && a.end == b.end);
	return 0;
}
