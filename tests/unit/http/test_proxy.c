/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "http/proxy.h"

#include <stdio.h>
#include <string.h>

#define H "Host: h.test\r\n"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* The owner of the tests: /no is denied, "SWAP" in X-Key becomes "real". */
static bool on_request(
	void *arg, const struct http_head *h, bool keep, struct buf *answer)
{
	unsigned *asked = arg;

	(*asked)++;
	if (!http_span_is(h, http_proxy_target(h), "/no"))
		return true;
	(void)buf_putf(answer, "DENIED%s;", keep ? "" : " close");
	return false;
}

static int on_value(void *arg, const struct http_head *h,
	const struct http_field *f, struct http_span v, struct buf *out)
{
	if (!f || !http_span_is_ci(h, f->name, "x-key") ||
		!http_span_is(h, v, "SWAP"))
		return 0;
	return buf_put(out, "real", 4) < 0 ? -1 : 1;
}

static void on_refuse(
	void *arg, unsigned status, const char *why, struct buf *answer)
{
	assert_non_null(why);
	(void)buf_putf(answer, "REFUSED %u;", status);
}

static const struct http_proxy_ops ops = {on_request, on_value, on_refuse};

struct run {
	char to_server[2048];
	char to_client[2048];
	bool done, reset, raw;
	unsigned asked;
};

static void drain(struct http_proxy *p, enum http_side side, char *to)
{
	struct buf *b = &p->io.out[side];
	size_t have = strlen(to);

	assert_true(have + buf_len(b) < 2048);
	memcpy(to + have, buf_head(b), buf_len(b));
	to[have + buf_len(b)] = '\0';
	buf_clear(b);
}

/* What the client says first, then, while a request waits, the server. */
static struct run run(const char *client, const char *server, size_t step,
	bool client_eof, bool server_eof)
{
	size_t left[2] = {strlen(client), strlen(server)}, n;
	const char *at[2] = {client, server};
	struct run r = {0};
	struct http_proxy *p = xnew(struct http_proxy);

	http_proxy_init(p, &ops, &r.asked);
	while (!p->io.done && (left[0] || left[1])) {
		enum http_side s = left[0] ? HTTP_CLIENT : HTTP_SERVER;

		n = MIN(step, left[s]);
		assert_int_equal(buf_put(&p->io.in[s], at[s], n), 0);
		at[s] += n;
		left[s] -= n;
		http_proxy_step(p);
		drain(p, HTTP_CLIENT, r.to_client);
		drain(p, HTTP_SERVER, r.to_server);
	}
	p->io.eof[HTTP_SERVER] = server_eof;
	http_proxy_step(p);
	p->io.eof[HTTP_CLIENT] = client_eof;
	http_proxy_step(p);
	drain(p, HTTP_CLIENT, r.to_client);
	drain(p, HTTP_SERVER, r.to_server);
	r.done = p->io.done;
	r.reset = p->io.reset;
	r.raw = p->io.raw;
	http_proxy_done(p);
	free(p);
	return r;
}

struct expect {
	const char *client, *server;
	bool client_eof, server_eof;
	const char *to_server, *to_client;
	bool done, reset, raw;
};

static void check(const struct expect *e)
{
	struct run r =
		run(e->client, e->server, 4096, e->client_eof, e->server_eof);

	assert_string_equal(r.to_server, e->to_server);
	assert_string_equal(r.to_client, e->to_client);
	assert_int_equal(r.done, e->done);
	assert_int_equal(r.reset, e->reset);
	assert_int_equal(r.raw, e->raw);
	for (size_t step = 1; step < 8; step++) {
		struct run s = run(e->client, e->server, step, e->client_eof,
			e->server_eof);

		assert_int_equal(r.done, s.done);
		assert_int_equal(r.reset, s.reset);
		assert_int_equal(r.asked, s.asked);
		/* Chunks are cut as they come; all else is the same. */
		if (!strstr(r.to_client, "chunked"))
			assert_string_equal(r.to_client, s.to_client);
		if (!strstr(r.to_server, "chunked"))
			assert_string_equal(r.to_server, s.to_server);
	}
}

static void test_one(void **state)
{
	const struct expect e[] = {
		{"GET / HTTP/1.1\r\n" H "X-a:  1 \r\n\r\n", OK2,
			.to_server = "GET / HTTP/1.1\r\n" H "X-a: 1\r\n\r\n",
			.to_client = OK2},
		/* The rest of a connection that ends is not looked at. */
		{"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", OK2,
			.to_server = "GET / HTTP/1.1\r\n" H
				     "Connection: close\r\n\r\n",
			.to_client = "HTTP/1.1 200 OK\r\nConnection: "
				     "close\r\nContent-Length: 2\r\n\r\nok",
			.done = true},
		{"GET http://h.test?q HTTP/1.1\r\n" H "\r\n", OK2,
			.to_server = "GET /?q HTTP/1.1\r\n" H "\r\n",
			.to_client = OK2},
		{"OPTIONS * HTTP/1.1\r\n" H "\r\n", OK2,
			.to_server = "OPTIONS * HTTP/1.1\r\n" H "\r\n",
			.to_client = OK2},
		{"HEAD / HTTP/1.1\r\n" H "\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
			.to_server = "HEAD / HTTP/1.1\r\n" H "\r\n",
			.to_client = "HTTP/1.1 200 OK\r\n"
				     "Content-Length: 99\r\n\r\n"},
		{"GET / HTTP/1.0\r\nHost: h.test\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			"2\r\nok\r\n0\r\n\r\n",
			.to_server = "GET / HTTP/1.0\r\n" H
				     "Connection: close\r\n\r\n",
			.to_client = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
				     "\r\nok",
			.done = true},
		{"GET / HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200\r\n\r\nall",
			.server_eof = true,
			.to_server = "GET / HTTP/1.1\r\n" H "\r\n",
			.to_client = "HTTP/1.1 200 \r\nConnection: close\r\n"
				     "\r\nall",
			.done = true},
		{"GET / HTTP/1.1\r\n" H "X-Key: SWAP\r\nY-Key: SWAP\r\n\r\n",
			OK2,
			.to_server = "GET / HTTP/1.1\r\n" H
				     "X-Key: real\r\nY-Key: SWAP\r\n\r\n",
			.to_client = OK2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		check(&e[i]);
}

static void test_many(void **state)
{
	const struct expect e[] = {
		/* Two at once: the second waits for the first one's answer. */
		{"GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
			OK2,
			.to_server = "GET /1 HTTP/1.1\r\n" H
				     "\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
			.to_client = OK2},
		/* A denial in the middle, and the connection goes on. */
		{"GET /no HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
			OK2, .to_server = "GET /2 HTTP/1.1\r\n" H "\r\n",
			.to_client = "DENIED;" OK2},
		{"POST /no HTTP/1.1\r\n" H
		 "Content-Length: 27\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n",
			"", .to_server = "", .to_client = "DENIED close;",
			.done = true},
		/* What lies behind a body is a request, not what is in it. */
		{"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nGETGET /no "
		 "HTTP/1.1\r\n" H "\r\n",
			OK2,
			.to_server = "POST / HTTP/1.1\r\n" H
				     "Content-Length: 3\r\n\r\nGET",
			.to_client = OK2 "DENIED;"},
		/* An answer that nobody asked for ends it. */
		{"GET / HTTP/1.1\r\n" H "\r\n", OK2 OK2,
			.to_server = "GET / HTTP/1.1\r\n" H "\r\n",
			.to_client = OK2, .done = true},
		/* A kept connection cut by the server is cut for the client. */
		{"GET / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.1\r\n" H "\r\n", OK2,
			.server_eof = true,
			.to_server = "GET / HTTP/1.1\r\n" H
				     "\r\nGET / HTTP/1.1\r\n" H "\r\n",
			.to_client = OK2, .done = true, .reset = true},
		{"GET / HTTP/1.1\r\n" H "\r\n", "", .server_eof = true,
			.to_server = "GET / HTTP/1.1\r\n" H "\r\n",
			.to_client = "REFUSED 502;", .done = true},
		{"GET / HTTP/1.1\r\n" H "\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
			.server_eof = true,
			.to_server = "GET / HTTP/1.1\r\n" H "\r\n",
			.to_client = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
				     "\r\nab",
			.done = true, .reset = true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		check(&e[i]);
}

static void test_bodies(void **state)
{
	const struct expect e[] = {
		{"POST / HTTP/1.1\r\n" H
		 "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n"
		 "X-Sum: 1\r\nContent-Length: 9\r\n\r\n",
			OK2,
			.to_server = "POST / HTTP/1.1\r\n" H
				     "Transfer-Encoding: chunked\r\n\r\n"
				     "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
			.to_client = OK2},
		{"GET / HTTP/1.1\r\n" H "TE: trailers\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
			"Trailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n",
			.to_server = "GET / HTTP/1.1\r\n" H "Connection: TE\r\n"
				     "TE: trailers\r\n\r\n",
			.to_client = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n"
				     "Transfer-Encoding: chunked\r\n\r\n"
				     "1\r\na\r\n0\r\nX-Sum: 2\r\n\r\n"},
		{"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
		 "Content-Length: 2\r\n\r\nhi",
			"HTTP/1.1 100 Continue\r\n\r\n" OK2,
			.to_server = "POST / HTTP/1.1\r\n" H
				     "Expect: 100-continue\r\n"
				     "Content-Length: 2\r\n\r\nhi",
			.to_client = "HTTP/1.1 100 Continue\r\n\r\n" OK2},
		/* Told no: whether its body comes nobody knows, so it ends. */
		{"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\n"
		 "Content-Length: 2\r\n\r\n",
			OK2,
			.to_server = "POST / HTTP/1.1\r\n" H
				     "Expect: 100-continue\r\n"
				     "Content-Length: 2\r\n\r\n",
			.to_client = OK2, .done = true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		check(&e[i]);
}

static void test_upgrade(void **state)
{
	static const char asked[] =
		"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\n"
		"Upgrade: websocket\r\n\r\n";
	static const char agreed[] = "HTTP/1.1 101 Switching Protocols\r\n"
				     "Connection: Upgrade\r\n"
				     "Upgrade: websocket\r\n\r\n";
	const struct expect e[] = {
		{asked,
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: "
			"websocket\r\nConnection: upgrade\r\n\r\nraw",
			.to_server = asked,
			.to_client = "HTTP/1.1 101 Switching Protocols\r\n"
				     "Connection: Upgrade\r\n"
				     "Upgrade: websocket\r\n\r\nraw",
			.raw = true},
		{"GET / HTTP/1.1\r\n" H "\r\n", agreed,
			.to_server = "GET / HTTP/1.1\r\n" H "\r\n",
			.to_client = "REFUSED 502;", .done = true},
		{"GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings"
		 "\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
			OK2, .to_server = "GET / HTTP/1.1\r\n" H "\r\n",
			.to_client = OK2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		check(&e[i]);
}

/* What two parsers could read in two ways never reaches the server. */
static void test_smuggling(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\nHost : h.test\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X:\rTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n"
		"Content-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n",
		"POST / HTTP/1.1\r\n" H
		"Transfer-Encoding: chunked, identity\r\n\r\n",
		"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "X: a\001b\r\n\r\n",
		"GET / HTTP/1.1\r\n Content-Length: 1\r\n" H "\r\n",
		"GET / HTTP/1.1\n" H "\r\n",
		"GET / HTTP/1.1\r\n" H "X: a\n\r\n",
		"GET http://other.test/ HTTP/1.1\r\n" H "\r\n",
		"GET / HTTP/1.1\r\n" H H "\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET  / HTTP/1.1\r\n" H "\r\n",
		"GET / HTTP/1.1 \r\n" H "\r\n",
		"GET / HTTP/2.0\r\n" H "\r\n",
		"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\r\n" H "Connection: content-length\r\n\r\n",
		"CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct run r = run(bad[i], "", 4096, false, false);

		if (r.to_server[0] || !r.done ||
			strncmp(r.to_client, "REFUSED ", 8) != 0)
			fail_msg("%s: '%s' '%s'", bad[i], r.to_server,
				r.to_client);
	}
}

/* After a good head the body alone can be bad: the server sees no end of it. */
static void test_bad_chunks(void **state)
{
	static const char *const bad[] = {"3 \r\nabc\r\n0\r\n\r\n",
		"3\nabc\r\n0\r\n\r\n", "3\r\nabcX\r\n0\r\n\r\n",
		"0x3\r\nabc\r\n0\r\n\r\n", "-1\r\n\r\n", "1000000000000000\r\n",
		"0\r\nX\r\n\r\n", "0\r\n X: y\r\n\r\n",
		"3;a\nb\r\nabc\r\n0\r\n\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *text =
			xasprintf("POST / HTTP/1.1\r\n" H
				  "Transfer-Encoding: chunked\r\n\r\n%s",
				bad[i]);
		struct run r = run(text, "", 4096, false, false);

		assert_true(r.done);
		assert_string_equal(r.to_client, "REFUSED 400;");
		assert_null(strstr(r.to_server, "\r\n0\r\n"));
	}
}

static void test_bad_answers(void **state)
{
	static const char *const bad[] = {"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
		"Content-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "ICY 200 OK\r\n\r\n",
		"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct run r = run("GET / HTTP/1.1\r\n" H "\r\n", bad[i], 4096,
			false, false);

		assert_true(r.done);
		assert_string_equal(r.to_client, "REFUSED 502;");
	}
}

/* A reader that is slow: what is held stays bounded. */
static void test_bounded(void **state)
{
	struct http_proxy *p = xnew(struct http_proxy);
	static const char head[] =
		"POST / HTTP/1.1\r\n" H "Content-Length: 9999999999\r\n\r\n";
	_cleanup_free_ uint8_t *piece = xcalloc(HTTP_PROXY_IN, 1);
	unsigned asked = 0;
	size_t room, fed = 0;

	http_proxy_init(p, &ops, &asked);
	(void)buf_put(&p->io.in[0], head, strlen(head));
	http_proxy_step(p);
	while ((room = http_proxy_room(&p->io, HTTP_CLIENT)) > 0) {
		assert_int_equal(buf_put(&p->io.in[0], piece, room), 0);
		fed += room;
		http_proxy_step(p);
	}
	assert_true(fed < 8u * HTTP_PROXY_HIGH);
	buf_clear(&p->io.out[HTTP_SERVER]);
	http_proxy_step(p);
	assert_true(http_proxy_room(&p->io, HTTP_CLIENT) > 0 ||
		buf_len(&p->io.out[HTTP_SERVER]) > 0);
	http_proxy_done(p);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_bad_chunks),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
