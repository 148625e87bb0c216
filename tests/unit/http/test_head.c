/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct text {
	const char *p;
	size_t len;
};
#define TEXT(s)                    \
	{                          \
		(s), sizeof(s) - 1 \
	}
#define H "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H

/* All at once, and byte by byte: the answer must be the same. */
static int parse(struct http_parser *p, enum http_kind kind, struct text t)
{
	struct http_parser slow;
	int r, s = 0;

	http_parser_init(&slow, kind);
	slow.to_head = p->to_head;
	slow.to_connect = p->to_connect;
	for (size_t i = 1; i <= t.len && s == 0; i++)
		s = http_parse(&slow, t.p, i);
	r = http_parse(p, t.p, t.len);
	assert_int_equal(r, s);
	if (r == 1)
		assert_int_equal(p->head.size, slow.head.size);
	if (r < 0) {
		assert_non_null(p->why);
		assert_in_range(p->status, 400, 599);
		assert_string_equal(p->why, slow.why);
	}
	return r;
}

static int request(struct http_parser *p, struct text t)
{
	http_parser_init(p, HTTP_REQUEST);
	return parse(p, HTTP_REQUEST, t);
}

static void test_a_request(void **state)
{
	static const char t[] =
		"\r\nPUT /a/b%20c?q=1&r HTTP/1.1\r\nhOST: exa.mple:80\r\n"
		"X-A:\t a b \t\r\nEmpty:\r\nContent-Length: 5\r\n"
		"Connection: keep-alive, X-A\r\n\r\nhello";
	struct http_parser p;
	char text[64];

	assert_int_equal(request(&p, (struct text){t, sizeof(t) - 1}), 1);
	assert_int_equal(p.head.size, sizeof(t) - 1 - 5);
	assert_true(http_span_is(&p.head, p.head.method, "PUT"));
	assert_true(http_span_is(&p.head, p.head.target, "/a/b%20c?q=1&r"));
	assert_true(http_span_is(&p.head, p.head.authority, "exa.mple:80"));
	assert_int_equal(p.head.minor, 1);
	assert_int_equal(p.head.n_fields, 5);
	assert_true(http_span_is(&p.head, p.head.fields[1].value, "a b"));
	assert_int_equal(p.head.fields[2].value.len, 0);
	assert_int_equal(p.head.framing, HTTP_BODY_LENGTH);
	assert_int_equal(p.head.length, 5);
	assert_true(p.head.keep_alive);
	assert_false(p.head.upgrade);
	assert_int_equal(http_path(&p.head, text, sizeof(text)), 0);
	assert_string_equal(text, "/a/b c");
	assert_int_equal(http_query(&p.head, "q", text, sizeof(text)), 1);
	assert_string_equal(text, "1");
	assert_int_equal(http_query(&p.head, "r", text, sizeof(text)), 1);
	assert_string_equal(text, "");
	assert_int_equal(http_query(&p.head, "s", text, sizeof(text)), 0);
	assert_non_null(http_find(&p.head, "EMPTY"));
	assert_null(http_find(&p.head, "Empt"));
	/* What Connection names belongs to this hop, and so does framing. */
	assert_true(http_hop_by_hop(&p.head, http_find(&p.head, "x-a")));
	assert_true(
		http_hop_by_hop(&p.head, http_find(&p.head, "content-length")));
	assert_false(http_hop_by_hop(&p.head, http_find(&p.head, "host")));
	assert_false(http_hop_by_hop(&p.head, http_find(&p.head, "empty")));
}

/* Each of these is read in two ways by somebody (dependencies 7). */
static const struct text smuggling[] = {
	/* the field name */
	TEXT(GET "Host : a\r\n\r\n"),
	TEXT(GET H "X\t: a\r\n\r\n"),
	TEXT(GET H ": a\r\n\r\n"),
	TEXT(GET H "X\r\n\r\n"),
	TEXT(GET H "X Y: a\r\n\r\n"),
	TEXT(GET H "X(: a\r\n\r\n"),
	TEXT(GET H "X\xff: a\r\n\r\n"),
	TEXT(GET H "Content-Length\0: 3\r\n\r\n"),
	/* bare CR and LF (CVE-2023-30589 and its family) */
	TEXT(GET H "X:\rTransfer-Encoding: chunked\r\n\r\n"),
	TEXT(GET H "X: a\nTransfer-Encoding: chunked\r\n\r\n"),
	TEXT(GET H "X: a\r\r\nY: b\r\n\r\n"),
	TEXT("GET / HTTP/1.1\nHost: a\n\n"),
	TEXT(GET H "\n\r\n"),
	TEXT(GET H "\r\r\n"),
	TEXT("\n" GET H "\r\n"),
	TEXT("\r\n\r\n" GET H "\r\n"),
	/* line folding, leading space */
	TEXT(GET H "X: a\r\n b\r\n\r\n"),
	TEXT(GET H "X: a\r\n\tb\r\n\r\n"),
	TEXT(GET " Content-Length: 4\r\n" H "\r\n"),
	TEXT(GET H " \r\n\r\n"),
	/* framing twice or unclear */
	TEXT(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
	TEXT(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),
	TEXT(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),
	TEXT(POST "Content-Length: 3, 3\r\n\r\n"),
	TEXT(POST "Content-Length: +3\r\n\r\n"),
	TEXT(POST "Content-Length: -3\r\n\r\n"),
	TEXT(POST "Content-Length: 0x3\r\n\r\n"),
	TEXT(POST "Content-Length: 3 4\r\n\r\n"),
	TEXT(POST "Content-Length:\r\n\r\n"),
	TEXT(POST "Content-Length: 9223372036854775808\r\n\r\n"),
	TEXT(POST "Content-Length: 18446744073709551619\r\n\r\n"),
	TEXT(POST "Content-Length: 00000000000000000003\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: xchunked\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: identity, chunked\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: chunked\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: gzip\r\n\r\n"),
	TEXT(POST "Transfer-Encoding:\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: \x0b"
		  "chunked\r\n\r\n"),
	TEXT(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	TEXT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	TEXT(POST "Connection: Content-Length\r\nContent-Length: 3\r\n\r\n"),
	TEXT(POST "Connection: close, transfer-encoding\r\n\r\n"),
	TEXT(GET H "Connection: host\r\n\r\n"),
	/* control bytes */
	TEXT(GET H "X: a\0b\r\n\r\n"),
	TEXT(GET H "X: a\x01\r\n\r\n"),
	TEXT(GET H "X: a\x7f\r\n\r\n"),
	TEXT("GET /\x01 HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n"),
	/* whom it is for */
	TEXT(GET "\r\n"),
	TEXT(GET H "Host: b\r\n\r\n"),
	TEXT(GET H "Host: a\r\n\r\n"),
	TEXT(GET "Host: a b\r\n\r\n"),
	TEXT(GET "Host: a, b\r\n\r\n"),
	TEXT(GET "Host: u@a\r\n\r\n"),
	TEXT(GET "Host: a/b\r\n\r\n"),
	TEXT(GET "Host: a:70000\r\n\r\n"),
	TEXT(GET "Host: a:b\r\n\r\n"),
	TEXT(GET "Host: [::1\r\n\r\n"),
	TEXT(GET "Host: [g::1]\r\n\r\n"),
	TEXT(GET "Host: :80\r\n\r\n"),
	TEXT("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
	TEXT("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
	TEXT("GET http://u@a/ HTTP/1.1\r\nHost: u@a\r\n\r\n"),
	TEXT("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
	TEXT("CONNECT a:1 HTTP/1.1\r\nHost: b:1\r\n\r\n"),
	TEXT("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n"
	     "Content-Length: 3\r\n\r\n"),
	TEXT("CONNECT / HTTP/1.1\r\n" H "\r\n"),
	/* the request line */
	TEXT("GET  / HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET /  HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET\t/ HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET / HTTP/1.1 \r\n" H "\r\n"),
	TEXT("GET / a HTTP/1.1\r\n" H "\r\n"),
	TEXT(" GET / HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET /\r\n" H "\r\n"),
	TEXT("GET / HTTP/1.2\r\n" H "\r\n"),
	TEXT("GET / HTTP/2.0\r\n" H "\r\n"),
	TEXT("GET / http/1.1\r\n" H "\r\n"),
	TEXT("GET / HTTP/1.1x\r\n" H "\r\n"),
	TEXT("GET / HTTP/01.1\r\n" H "\r\n"),
	TEXT("G@T / HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET * HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET a HTTP/1.1\r\n" H "\r\n"),
	TEXT("GET /#f HTTP/1.1\r\n" H "\r\n"),
	TEXT(GET H "Expect: 200-ok\r\n\r\n"),
	TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
};

static void test_smuggling_is_refused(void **state)
{
	struct http_parser p;

	for (size_t i = 0; i < ARRAY_SIZE(smuggling); i++)
		if (request(&p, smuggling[i]) != -EBADMSG)
			fail_msg("accepted: %s", smuggling[i].p);
}

static void test_what_is_allowed(void **state)
{
	static const struct text cases[] = {
		TEXT("GET / HTTP/1.0\r\n\r\n"),
		TEXT("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
		TEXT("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
		TEXT("GET / HTTP/1.1\r\nHost: a_b.c-d\r\n\r\n"),
		TEXT("GET http://a HTTP/1.1\r\nHost: A\r\n\r\n"),
		TEXT("GET HTTPS://a:8/?x HTTP/1.1\r\nHost: a:8\r\n\r\n"),
		TEXT("OPTIONS * HTTP/1.1\r\n" H "\r\n"),
		TEXT("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n"),
		TEXT("M-SEARCH /a|b{c}[d]^e` HTTP/1.1\r\n" H "\r\n"),
		TEXT(GET H "X: \xc3\xa4 \t \x80\r\n\r\n"),
		TEXT(POST "Transfer-Encoding:\t Chunked \r\n\r\n"),
		TEXT(POST "Content-Length: 9223372036854775807\r\n\r\n"),
		TEXT(POST "Content-Length: 0000000000000000003\r\n\r\n"),
		TEXT(POST "Expect: 100-Continue\r\n\r\n"),
		TEXT(GET H "Connection: , close ,\r\n\r\n"),
	};
	struct http_parser p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (request(&p, cases[i]) != 1)
			fail_msg("refused: %s: %s", cases[i].p, p.why);
}

static void test_connection(void **state)
{
	static const struct {
		struct text t;
		bool keep, upgrade;
	} cases[] = {
		{TEXT(GET H "\r\n"), true, false},
		{TEXT(GET H "Connection: close\r\n\r\n"), false, false},
		{TEXT(GET H "Connection: a\r\nConnection: CLOSE\r\n\r\n"),
			false, false},
		{TEXT(GET H "Connection: closed\r\n\r\n"), true, false},
		{TEXT("GET / HTTP/1.0\r\n\r\n"), false, false},
		{TEXT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true,
			false},
		{TEXT(GET H "Connection: upgrade\r\nUpgrade: x\r\n\r\n"), true,
			true},
		{TEXT(GET H "Upgrade: x\r\n\r\n"), true, false},
		{TEXT(GET H "Connection: upgrade\r\n\r\n"), true, false},
		{TEXT("GET / HTTP/1.0\r\nConnection: upgrade\r\n"
		      "Upgrade: x\r\n\r\n"),
			false, false},
	};
	struct http_parser p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(request(&p, cases[i].t), 1);
		assert_int_equal(p.head.keep_alive, cases[i].keep);
		assert_int_equal(p.head.upgrade, cases[i].upgrade);
	}
	assert_int_equal(
		request(&p, (struct text)TEXT(GET H "A: b, Cd ,e\r\n\r\n")), 1);
	assert_true(http_has_token(&p.head, "a", "cd"));
	assert_false(http_has_token(&p.head, "a", "c"));
}

static void test_sizes(void **state)
{
	static char big[HTTP_HEAD_MAX + 100];
	struct http_parser p;
	size_t n = (size_t)snprintf(big, sizeof(big), GET H "X: ");

	/* Exactly the largest head, and one byte more. */
	memset(big + n, 'a', sizeof(big) - n);
	memcpy(big + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	http_parser_init(&p, HTTP_REQUEST);
	assert_int_equal(http_parse(&p, big, sizeof(big)), 1);
	assert_int_equal(p.head.size, HTTP_HEAD_MAX);
	memset(big + HTTP_HEAD_MAX - 4, 'a', 4);
	memcpy(big + HTTP_HEAD_MAX - 3, "\r\n\r\n", 4);
	http_parser_init(&p, HTTP_REQUEST);
	assert_int_equal(http_parse(&p, big, sizeof(big)), -EBADMSG);
	assert_int_equal(p.status, 431);
	http_parser_init(&p, HTTP_REQUEST);
	assert_int_equal(http_parse(&p, big, HTTP_HEAD_MAX - 10), 0);
	/* Too many fields. */
	n = (size_t)snprintf(big, sizeof(big), "%s", GET H);
	for (unsigned i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "a: b\r\n");
	memcpy(big + n, "\r\n", 2);
	http_parser_init(&p, HTTP_REQUEST);
	assert_int_equal(http_parse(&p, big, n + 2), 1);
	assert_int_equal(p.head.n_fields, HTTP_FIELDS_MAX);
	memcpy(big + n, "a: b\r\n\r\n", 8);
	http_parser_init(&p, HTTP_REQUEST);
	assert_int_equal(http_parse(&p, big, n + 8), -EBADMSG);
	assert_int_equal(p.status, 431);
}

/* The buffer may move while a head arrives. */
static void test_the_bytes_may_move(void **state)
{
	static const char t[] = GET "Host: abc\r\nX: y\r\n\r\n";
	struct http_parser p;

	http_parser_init(&p, HTTP_REQUEST);
	for (size_t i = 1; i < sizeof(t); i++) {
		_cleanup_free_ char *copy = xcalloc(1, i);

		memcpy(copy, t, i);
		assert_int_equal(http_parse(&p, copy, i), i == sizeof(t) - 1);
	}
	http_rebase(&p.head, t);
	assert_true(http_span_is(&p.head, p.head.authority, "abc"));
}

#define OK "HTTP/1.1 200 OK\r\n"

static void test_responses(void **state)
{
	static const struct {
		struct text t;
		int r;
		enum http_framing framing;
		bool head, connect;
	} cases[] = {
		{TEXT(OK "Content-Length: 3\r\n\r\n"), 1, HTTP_BODY_LENGTH},
		{TEXT(OK "Transfer-Encoding: chunked\r\n\r\n"), 1,
			HTTP_BODY_CHUNKED},
		{TEXT(OK "\r\n"), 1, HTTP_BODY_CLOSE},
		{TEXT("HTTP/1.0 200\r\n\r\n"), 1, HTTP_BODY_CLOSE},
		{TEXT("HTTP/1.1 404 \r\n\r\n"), 1, HTTP_BODY_CLOSE},
		{TEXT("HTTP/1.1 204 No\r\n\r\n"), 1, HTTP_BODY_NONE},
		{TEXT("HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n"), 1,
			HTTP_BODY_NONE},
		{TEXT("HTTP/1.1 101 Sw\r\nConnection: upgrade\r\n"
		      "Upgrade: x\r\n\r\n"),
			1, HTTP_BODY_NONE},
		{TEXT(OK "Content-Length: 3\r\n\r\n"), 1, HTTP_BODY_NONE,
			.head = true},
		{TEXT(OK "\r\n"), 1, HTTP_BODY_NONE, .connect = true},
		{TEXT(OK "Content-Length: 3\r\n\r\n"), -EBADMSG, 0,
			.connect = true},
		{TEXT("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\n"), 1,
			HTTP_BODY_LENGTH, .connect = true},
		{TEXT("HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n"),
			-EBADMSG},
		{TEXT("HTTP/1.1 100 C\r\nTransfer-Encoding: chunked\r\n\r\n"),
			-EBADMSG},
		{TEXT(OK "Content-Length: 3\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n"),
			-EBADMSG},
		{TEXT(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"), -EBADMSG},
		{TEXT(OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),
			-EBADMSG},
		{TEXT(OK "X: a\r\n b\r\n\r\n"), -EBADMSG},
		{TEXT(OK "X : a\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/1.1 20 OK\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/1.1 2000 OK\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/1.1 099 OK\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/1.1 600 OK\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/1.1  200 OK\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/2 200 OK\r\n\r\n"), -EBADMSG},
		{TEXT("HTTP/1.1\r\n\r\n"), -EBADMSG},
		{TEXT("\r\n" OK "\r\n"), -EBADMSG},
		{TEXT("ICY 200 OK\r\n\r\n"), -EBADMSG},
	};
	struct http_parser p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		http_parser_init(&p, HTTP_RESPONSE);
		p.to_head = cases[i].head;
		p.to_connect = cases[i].connect;
		if (parse(&p, HTTP_RESPONSE, cases[i].t) != cases[i].r)
			fail_msg("%s: %s", cases[i].t.p, p.why);
		if (cases[i].r == 1)
			assert_int_equal(p.head.framing, cases[i].framing);
	}
}

static void test_targets(void **state)
{
	static const struct {
		const char *target;
		int r;
		const char *path;
	} cases[] = {
		{"/", 0, "/"},
		{"/a/b", 0, "/a/b"},
		{"/a?b", 0, "/a"},
		{"http://a", 0, "/"},
		{"http://a?x", 0, "/"},
		{"http://a/b?x", 0, "/b"},
		{"/%41%7e", 0, "/A~"},
		{"/%c3%a4", 0, "/\xc3\xa4"},
		{"/..", -EINVAL, ""},
		{"/a/../b", -EINVAL, ""},
		{"/a/./b", -EINVAL, ""},
		{"/%2e%2e/b", -EINVAL, ""},
		{"/a%2fb", -EINVAL, ""},
		{"/a%5Cb", -EINVAL, ""},
		{"/a%00", -EINVAL, ""},
		{"/a%0d%0a", -EINVAL, ""},
		{"/a%7f", -EINVAL, ""},
		{"/a%", -EINVAL, ""},
		{"/a%4", -EINVAL, ""},
		{"/a%4g", -EINVAL, ""},
		{"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -ENOBUFS,
			""},
	};
	struct http_parser p;
	char path[32], text[200];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int n = snprintf(text, sizeof(text),
			"GET %s HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].target);

		assert_int_equal(
			request(&p, (struct text){text, (size_t)n}), 1);
		if (http_path(&p.head, path, sizeof(path)) != cases[i].r)
			fail_msg("%s", cases[i].target);
		if (cases[i].r == 0)
			assert_string_equal(path, cases[i].path);
	}
}

static void test_queries(void **state)
{
	static const char *const names[] = {"a", "b"};
	struct http_parser p;
	char v[8];

	assert_int_equal(request(&p,
				 (struct text)TEXT(
					 "GET /?a=%31+2&&b&c=x=y HTTP/1.1\r\n" H
					 "\r\n")),
		1);
	assert_int_equal(http_query(&p.head, "a", v, sizeof(v)), 1);
	assert_string_equal(v, "1+2");
	assert_int_equal(http_query(&p.head, "c", v, sizeof(v)), 1);
	assert_string_equal(v, "x=y");
	assert_int_equal(http_query_only(&p.head, names, 2), -EINVAL);
	assert_int_equal(
		request(&p,
			(struct text)TEXT(
				"GET /?a=1&a=2 HTTP/1.1\r\n" H "\r\n")),
		1);
	assert_int_equal(http_query(&p.head, "a", v, sizeof(v)), -EINVAL);
	assert_int_equal(http_query_only(&p.head, names, 2), 0);
	assert_int_equal(
		request(&p,
			(struct text)TEXT(
				"GET /?a=12345678 HTTP/1.1\r\n" H "\r\n")),
		1);
	assert_int_equal(http_query(&p.head, "a", v, sizeof(v)), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_request),
		cmocka_unit_test(test_smuggling_is_refused),
		cmocka_unit_test(test_what_is_allowed),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_the_bytes_may_move),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_queries),
	};

	return cmocka_run_group_tests_name("http/head", tests, NULL, NULL);
}
