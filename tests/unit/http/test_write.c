/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "http/http.h"

#include <errno.h>
#include <string.h>

static void expect(struct buf *b, const char *want)
{
	assert_int_equal(buf_len(b), strlen(want));
	assert_memory_equal(buf_head(b), want, strlen(want));
	buf_clear(b);
}

static void test_heads(void **state)
{
	struct buf b;

	buf_init(&b, 1024);
	assert_int_equal(http_put_request(&b, "GET", "/a?b"), 0);
	assert_int_equal(http_put_field(&b, "Host", "a"), 0);
	assert_int_equal(http_put_field_n(&b, "X-Y", 1, "value", 3), 0);
	assert_int_equal(http_put_length(&b, 18446744073709551615ull), 0);
	assert_int_equal(http_put_end(&b), 0);
	expect(&b,
		"GET /a?b HTTP/1.1\r\nHost: a\r\nX: val\r\n"
		"Content-Length: 18446744073709551615\r\n\r\n");
	assert_int_equal(http_put_status(&b, 200), 0);
	assert_int_equal(http_put_status(&b, 299), 0);
	expect(&b, "HTTP/1.1 200 OK\r\nHTTP/1.1 299 Unknown\r\n");
	buf_done(&b);
}

/* Nothing that is written can end a line early. */
static void test_injection_is_refused(void **state)
{
	struct buf b;

	buf_init(&b, 1024);
	assert_int_equal(http_put_field(&b, "X", "a\r\nY: b"), -EINVAL);
	assert_int_equal(http_put_field(&b, "X", "a\n"), -EINVAL);
	assert_int_equal(http_put_field_n(&b, "X", 1, "a\0b", 3), -EINVAL);
	assert_int_equal(http_put_field(&b, "X: y\r\nZ", "a"), -EINVAL);
	assert_int_equal(http_put_field(&b, "X ", "a"), -EINVAL);
	assert_int_equal(http_put_field(&b, "", "a"), -EINVAL);
	assert_int_equal(http_put_request(&b, "GET ", "/"), -EINVAL);
	assert_int_equal(http_put_request(&b, "GET", "/a b"), -EINVAL);
	assert_int_equal(http_put_request(&b, "GET", "/a\r\n"), -EINVAL);
	assert_int_equal(http_put_request(&b, "GET", ""), -EINVAL);
	assert_int_equal(http_put_status(&b, 99), -EINVAL);
	assert_int_equal(http_put_status(&b, 1000), -EINVAL);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
}

static void test_chunks_come_back(void **state)
{
	static const size_t sizes[] = {1, 15, 16, 17, 255, 256, 4096, 65535};
	static uint8_t data[65536];
	struct http_head h = {.framing = HTTP_BODY_CHUNKED};
	struct http_body body;
	struct buf b;
	const uint8_t *p;
	size_t used, len, total = 0, got = 0;
	int r = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	buf_init(&b, 1024 * 1024);
	assert_int_equal(http_put_chunk(&b, data, 0), 0);
	assert_int_equal(buf_len(&b), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(http_put_chunk(&b, data, sizes[i]), 0);
		total += sizes[i];
	}
	assert_int_equal(http_put_last_chunk(&b), 0);
	http_body_init(&body, &h);
	while (r == 0) {
		r = http_body_feed(
			&body, buf_head(&b), buf_len(&b), &used, &p, &len);
		got += len;
		buf_consume(&b, used);
	}
	assert_int_equal(r, 1);
	assert_int_equal(got, total);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
}

static void test_full(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	assert_int_equal(http_put_field(&b, "Host", "example"), -ENOBUFS);
	assert_int_equal(http_put_chunk(&b, "0123456789", 10), -ENOBUFS);
	assert_int_equal(buf_len(&b), 0);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_injection_is_refused),
		cmocka_unit_test(test_chunks_come_back),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("http/write", tests, NULL, NULL);
}
