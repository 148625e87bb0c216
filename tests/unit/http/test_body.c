/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "http/http.h"

#include <errno.h>
#include <string.h>

struct outcome {
	int r;
	size_t used; /* bytes up to and with the end of the body */
	char body[256];
};

/* Feeds text in pieces of at most `step` bytes. */
static struct outcome feed(enum http_framing framing, uint64_t length,
	const char *text, size_t len, size_t step)
{
	struct http_head h = {.framing = framing, .length = length};
	struct outcome o = {0};
	struct http_body b;
	const uint8_t *data;
	size_t used, got, out = 0, n;

	http_body_init(&b, &h);
	for (;;) {
		n = MIN(step, len - o.used);
		o.r = http_body_feed(&b, text + o.used, n, &used, &data, &got);
		if (o.r < 0)
			return o;
		assert_true(used <= n);
		assert_true(out + got < sizeof(o.body));
		memcpy(o.body + out, data, got);
		out += got;
		o.used += used;
		if (o.r == 1)
			return o;
		if (o.used == len) {
			if (http_body_eof(&b) < 0)
				o.r = -EPIPE;
			return o;
		}
	}
}

static void check(enum http_framing framing, uint64_t length, const char *text,
	int r, const char *body, size_t used)
{
	for (size_t step = 1; step <= strlen(text) + 1; step++) {
		struct outcome o =
			feed(framing, length, text, strlen(text), step);

		if (o.r != r)
			fail_msg("%s (step %zu): %d", text, step, o.r);
		if (r < 0 && r != -EPIPE)
			continue;
		assert_string_equal(o.body, body);
		if (r == 1)
			assert_int_equal(o.used, used);
	}
}

static void test_length(void **state)
{
	check(HTTP_BODY_NONE, 0, "abc", 1, "", 0);
	check(HTTP_BODY_LENGTH, 0, "abc", 1, "", 0);
	check(HTTP_BODY_LENGTH, 3, "abcdef", 1, "abc", 3);
	check(HTTP_BODY_LENGTH, 9, "abcdef", -EPIPE, "abcdef", 0);
	check(HTTP_BODY_CLOSE, 0, "abcdef", 0, "abcdef", 0);
}

static void test_chunks(void **state)
{
	static const struct {
		const char *text;
		int r;
		const char *body;
		const char *rest;
	} cases[] = {
		{"0\r\n\r\nGET", 1, "", "GET"},
		{"3\r\nabc\r\n0\r\n\r\n", 1, "abc", ""},
		{"3\r\nabc\r\n2\r\nde\r\n00\r\n\r\nX", 1, "abcde", "X"},
		{"A\r\n0123456789\r\n0\r\n\r\n", 1, "0123456789", ""},
		{"a;x=y;z=\"q q\"\r\n0123456789\r\n0;e\r\n\r\n", 1,
			"0123456789", ""},
		{"0\r\nT: a\r\nU:\r\n\r\nX", 1, "", "X"},
		{"3\r\nab", -EPIPE, "ab", ""},
		{"3\r\nabc\r\n", -EPIPE, "abc", ""},
		{"3\r\nabc\r\n0\r\n", -EPIPE, "abc", ""},
		/* sizes that somebody else reads differently */
		{"\r\n", -EBADMSG, "", ""},
		{" 3\r\nabc\r\n", -EBADMSG, "", ""},
		{"3 \r\nabc\r\n", -EBADMSG, "", ""},
		{"3 ;x\r\nabc\r\n", -EBADMSG, "", ""},
		{"0x3\r\nabc\r\n", -EBADMSG, "", ""},
		{"+3\r\nabc\r\n", -EBADMSG, "", ""},
		{"-1\r\nabc\r\n", -EBADMSG, "", ""},
		{"3\nabc\r\n", -EBADMSG, "", ""},
		{"3\r\nabc\n0\r\n\r\n", -EBADMSG, "", ""},
		{"3\r\nabcd\r\n", -EBADMSG, "", ""},
		{"3\r\rabc\r\n", -EBADMSG, "", ""},
		{"3;a\nabc\r\n0\r\n\r\n", -EBADMSG, "", ""},
		{"3;a\r\rabc\r\n0\r\n\r\n", -EBADMSG, "", ""},
		{"1000000000000000\r\n", -EBADMSG, "", ""},
		{"0000000000000003\r\nabc\r\n", -EBADMSG, "", ""},
		{";x\r\n", -EBADMSG, "", ""},
		{"g\r\n", -EBADMSG, "", ""},
		/* trailers obey the rules of fields */
		{"0\r\nT : a\r\n\r\n", -EBADMSG, "", ""},
		{"0\r\n T: a\r\n\r\n", -EBADMSG, "", ""},
		{"0\r\nT\r\n\r\n", -EBADMSG, "", ""},
		{"0\r\n:a\r\n\r\n", -EBADMSG, "", ""},
		{"0\r\nT: a\nU: b\r\n\r\n", -EBADMSG, "", ""},
		{"0\r\nT: a\r\n\rX", -EBADMSG, "", ""},
		{"0\r\n\n", -EBADMSG, "", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(HTTP_BODY_CHUNKED, 0, cases[i].text, cases[i].r,
			cases[i].body,
			strlen(cases[i].text) - strlen(cases[i].rest));
}

static void test_bounds(void **state)
{
	static char text[HTTP_TRAILER_MAX + 100];
	struct http_head h = {.framing = HTTP_BODY_CHUNKED};
	struct http_body b;
	const uint8_t *data;
	size_t used, len;

	memset(text, 'a', sizeof(text));
	memcpy(text, "1;", 2);
	http_body_init(&b, &h);
	assert_int_equal(http_body_feed(&b, text, HTTP_CHUNK_EXT_MAX + 2, &used,
				 &data, &len),
		0);
	assert_int_equal(
		http_body_feed(&b, "a", 1, &used, &data, &len), -EBADMSG);
	memcpy(text, "0\r\nT:", 5);
	http_body_init(&b, &h);
	assert_int_equal(
		http_body_feed(&b, text, sizeof(text), &used, &data, &len),
		-EBADMSG);
	/* The largest size that is taken, and it is taken exactly. */
	http_body_init(&b, &h);
	assert_int_equal(http_body_feed(&b, "fffffffffffffff\r\n", 17, &used,
				 &data, &len),
		0);
	assert_true(b.left == 0xfffffffffffffffull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("http/body", tests, NULL, NULL);
}
