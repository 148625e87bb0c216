/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "wire/tlv.h"

#include <errno.h>

static void test_layout(void **state)
{
	static const uint8_t want[] = {0x34, 0x12, 0, 0, 2, 0, 0, 0, 'h', 'i',
		5, 0, 0, 0, 4, 0, 0, 0, 0x78, 0x56, 0x34, 0x12};
	struct buf b;

	buf_init(&b, 100);
	assert_int_equal(tlv_put_str(&b, 0x1234, "hi"), 0);
	assert_int_equal(tlv_put_u32(&b, 5, 0x12345678), 0);
	assert_int_equal(buf_len(&b), sizeof(want));
	assert_memory_equal(buf_head(&b), want, sizeof(want));
	buf_done(&b);
}

static void test_round_trip(void **state)
{
	_cleanup_free_ char *s = NULL;
	struct tlv_iter it;
	struct tlv t;
	struct buf b;
	uint32_t u32;
	uint64_t u64;

	buf_init(&b, 1000);
	tlv_put_str(&b, 1, "name");
	tlv_put_u32(&b, 2, UINT32_MAX);
	tlv_put_u64(&b, 3, UINT64_MAX - 1);
	tlv_put(&b, 4, NULL, 0);
	it = tlv_iter(buf_head(&b), buf_len(&b));
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(t.tag, 1);
	assert_int_equal(tlv_str(&t, 4, &s), 0);
	assert_string_equal(s, "name");
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(tlv_u32(&t, &u32), 0);
	assert_true(u32 == UINT32_MAX);
	assert_int_equal(tlv_u64(&t, &u64), -EBADMSG);
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(tlv_u64(&t, &u64), 0);
	assert_true(u64 == UINT64_MAX - 1);
	assert_int_equal(tlv_u32(&t, &u32), -EBADMSG);
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(t.len, 0);
	assert_int_equal(tlv_next(&it, &t), 0);
	assert_int_equal(tlv_next(&it, &t), 0);
	buf_done(&b);
}

/* The data may move while a record is open. */
static void test_nested(void **state)
{
	struct tlv_iter it, inner;
	struct tlv t, in;
	size_t mark;
	struct buf b;

	buf_init(&b, 100000);
	tlv_put_u32(&b, 1, 1);
	mark = tlv_begin(&b, 67);
	assert_int_not_equal(mark, (size_t)-1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(tlv_put_u32(&b, 7, (uint32_t)i), 0);
	tlv_end(&b, mark);
	tlv_put_u32(&b, 2, 2);

	it = tlv_iter(buf_head(&b), buf_len(&b));
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(t.tag, 67);
	inner = tlv_iter(t.p, t.len);
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t v;

		assert_int_equal(tlv_next(&inner, &in), 1);
		assert_int_equal(tlv_u32(&in, &v), 0);
		assert_int_equal(v, i);
	}
	assert_int_equal(tlv_next(&inner, &in), 0);
	assert_int_equal(tlv_next(&it, &t), 1);
	assert_int_equal(t.tag, 2);
	assert_int_equal(tlv_next(&it, &t), 0);
	buf_done(&b);
}

static void test_full_buffer(void **state)
{
	struct buf b;
	size_t mark;

	buf_init(&b, TLV_HEAD + 4);
	assert_int_equal(tlv_put_u64(&b, 1, 1), -ENOBUFS);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(tlv_put_u32(&b, 1, 1), 0);
	mark = tlv_begin(&b, 2);
	assert_true(mark == (size_t)-1);
	tlv_end(&b, mark);
	assert_int_equal(buf_len(&b), TLV_HEAD + 4);
	buf_done(&b);
}

static int first(const uint8_t *p, size_t len)
{
	struct tlv_iter it = tlv_iter(p, len);
	struct tlv t;

	return tlv_next(&it, &t);
}

static void test_hostile(void **state)
{
	static const uint8_t ok[] = {1, 0, 0, 0, 1, 0, 0, 0, 9};
	static const uint8_t reserved[] = {1, 0, 1, 0, 0, 0, 0, 0};
	static const uint8_t huge[] = {1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};

	assert_int_equal(first(ok, sizeof(ok)), 1);
	/* One byte missing anywhere is no record. */
	for (size_t i = 1; i < sizeof(ok); i++)
		assert_int_equal(first(ok, i), -EBADMSG);
	assert_int_equal(first(ok, 0), 0);
	assert_int_equal(first(reserved, sizeof(reserved)), -EBADMSG);
	assert_int_equal(first(huge, sizeof(huge)), -EBADMSG);
}

static void test_hostile_strings(void **state)
{
	const struct tlv nul = {1, 3, (const uint8_t *)"a\0b"};
	const struct tlv end = {1, 2, (const uint8_t *)"a"};
	const struct tlv five = {1, 5, (const uint8_t *)"abcde"};
	const struct tlv empty = {1, 0, (const uint8_t *)""};
	_cleanup_free_ char *s = NULL, *t = NULL;

	assert_int_equal(tlv_str(&nul, 10, &s), -EBADMSG);
	assert_int_equal(tlv_str(&end, 10, &s), -EBADMSG);
	assert_int_equal(tlv_str(&five, 4, &s), -EBADMSG);
	assert_null(s);
	assert_int_equal(tlv_str(&five, 5, &s), 0);
	assert_string_equal(s, "abcde");
	assert_int_equal(tlv_str(&empty, 0, &t), 0);
	assert_string_equal(t, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_full_buffer),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
