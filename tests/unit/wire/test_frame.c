/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "wire/frame.h"

#include <errno.h>

static void test_layout(void **state)
{
	static const uint8_t want[] = {
		3, 0, 0, 0, 0x24, 0, 0, 0, 'a', 'b', 'c'};
	struct buf b;

	buf_init(&b, 100);
	assert_int_equal(frame_put(&b, 0x24, "abc", 3), 0);
	assert_int_equal(buf_len(&b), sizeof(want));
	assert_memory_equal(buf_head(&b), want, sizeof(want));
	buf_done(&b);
}

/* A frame is whole with its last byte and not one before. */
static void test_every_prefix_waits(void **state)
{
	struct buf src, in;
	struct frame f;

	buf_init(&src, 100);
	buf_init(&in, 100);
	frame_put(&src, 9, "abc", 3);
	for (size_t i = 0; i < buf_len(&src); i++) {
		assert_int_equal(frame_peek(&in, &f), 0);
		buf_put(&in, buf_head(&src) + i, 1);
	}
	assert_int_equal(frame_peek(&in, &f), 1);
	assert_int_equal(f.type, 9);
	assert_int_equal(f.flags, 0);
	assert_int_equal(f.len, 3);
	assert_memory_equal(f.p, "abc", 3);
	buf_consume(&in, FRAME_HEAD + f.len);
	assert_int_equal(frame_peek(&in, &f), 0);
	buf_done(&src);
	buf_done(&in);
}

static int peek_raw(const uint8_t head[FRAME_HEAD])
{
	struct frame f;
	struct buf b;
	int r;

	buf_init(&b, 100);
	buf_put(&b, head, FRAME_HEAD);
	r = frame_peek(&b, &f);
	buf_done(&b);
	return r;
}

static void test_hostile_heads(void **state)
{
	/* FRAME_MAX is allowed, so more bytes are needed. */
	assert_int_equal(peek_raw((uint8_t[]){0, 0, 1, 0, 1, 0, 0, 0}), 0);
	assert_int_equal(
		peek_raw((uint8_t[]){1, 0, 1, 0, 1, 0, 0, 0}), -EBADMSG);
	assert_int_equal(
		peek_raw((uint8_t[]){0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0}),
		-EBADMSG);
	assert_int_equal(
		peek_raw((uint8_t[]){0, 0, 0, 0, 1, 0, 1, 0}), -EBADMSG);
	assert_int_equal(
		peek_raw((uint8_t[]){0, 0, 0, 0, 1, 0, 0, 0x80}), -EBADMSG);
	/* Flags are for later versions; a reader of today ignores them. */
	assert_int_equal(peek_raw((uint8_t[]){0, 0, 0, 0, 1, 0xff, 0, 0}), 1);
}

static void test_full_buffer(void **state)
{
	struct buf b;

	buf_init(&b, FRAME_HEAD + 4);
	assert_int_equal(frame_put(&b, 1, "12345", 5), -ENOBUFS);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(frame_put(&b, 1, "1234", 4), 0);
	assert_int_equal(frame_put(&b, 1, NULL, 0), -ENOBUFS);
	buf_done(&b);
}

static void test_largest(void **state)
{
	_cleanup_free_ uint8_t *p = xcalloc(FRAME_MAX, 1);
	struct frame f;
	struct buf b;

	p[FRAME_MAX - 1] = 7;
	buf_init(&b, FRAME_HEAD + FRAME_MAX);
	assert_int_equal(frame_put(&b, 1, p, FRAME_MAX), 0);
	assert_int_equal(frame_peek(&b, &f), 1);
	assert_int_equal(f.len, FRAME_MAX);
	assert_int_equal(f.p[FRAME_MAX - 1], 7);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_every_prefix_waits),
		cmocka_unit_test(test_hostile_heads),
		cmocka_unit_test(test_full_buffer),
		cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
