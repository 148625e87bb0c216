/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "h2_ends.h"

#include <stdio.h>
#include <string.h>

#define GET ":method: GET", ":scheme: https", ":path: /"
#define HOST ":authority: h.test"
#define POST ":method: POST", ":scheme: https", ":path: /", HOST
#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OK FIELDS(":status: 200")

static int open_ends(void **state)
{
	*state = ends_new();
	return 0;
}

static int close_ends(void **state)
{
	struct ends *e = *state;

	/* Nothing is forgotten. */
	assert_int_equal(e->h->held, 0);
	assert_int_equal(e->h->n_secrets, 0);
	ends_free(e);
	return 0;
}

static void test_request(void **state)
{
	struct ends *e = *state;
	int32_t id = ends_ask(e,
		FIELDS(GET, HOST, "host: h.test", "x-key: SWAP", "te: trailers",
			"cookie: a=1", "cookie: b=2"),
		0, NULL);

	assert_true(heard(&e->server, "1 :path: /\n"));
	assert_true(heard(&e->server, "1 :authority: h.test\n"));
	assert_true(heard(&e->server, "1 x-key: real\n"));
	assert_true(heard(&e->server, "1 te: trailers\n"));
	assert_true(heard(&e->server, "1 cookie: b=2\n"));
	assert_false(heard(&e->server, "host: h.test"));
	assert_true(heard(&e->server, "1 end\n"));
	assert_true(e->h->io.busy);
	ends_answer(e, id, FIELDS(":status: 200", "x-a: b"), 5, NULL);
	assert_true(heard(&e->guest, "1 :status: 200\n1 x-a: b\n"));
	assert_true(heard(&e->guest, "1 end\n"));
	assert_int_equal(e->guest.got, 5);
	assert_false(e->h->io.busy);
	assert_int_equal(e->asked, 1);
	assert_int_equal(e->refused, 0);
}

static void test_byte_by_byte(void **state)
{
	struct ends *e = *state;

	e->cut = true;
	test_request(state);
}

static void test_target_and_bad_value(void **state)
{
	struct ends *e = *state;

	(void)ends_ask(e,
		FIELDS(":method: GET", ":scheme: https", ":path: /SWAP", HOST),
		0, NULL);
	assert_true(heard(&e->server, "1 :path: /real\n"));
	(void)ends_ask(e, FIELDS(GET, HOST, "x-key: BREAK"), 0, NULL);
	assert_true(heard(&e->guest, "3 :status: 431\n"));
	assert_false(heard(&e->server, "3 :path"));
}

static void test_denied(void **state)
{
	struct ends *e = *state;
	(void)ends_ask(e,
		FIELDS(":method: POST", ":scheme: https", ":path: /no", HOST),
		100000, NULL);
	assert_true(heard(&e->guest, "1 :status: 403\n"));
	assert_true(heard(&e->guest, "1 cove-denied: default\n"));
	assert_true(heard(&e->guest, "NO1 end\n"));
	/* The rest of its body is not wanted. */
	assert_true(heard(&e->guest, "1 reset 0\n"));
	assert_null(e->h->session[HTTP_SERVER]);
	(void)ends_ask(e,
		FIELDS(":method: HEAD", ":scheme: https", ":path: /no", HOST),
		0, NULL);
	assert_true(heard(&e->guest, "3 content-length: 2\n3 end\n"));
	(void)ends_ask(e, FIELDS(GET, HOST), 0, NULL);
	ends_answer(e, e->server.newest, OK, 0, NULL);
	assert_true(heard(&e->guest, "5 :status: 200\n5 end\n"));
	assert_int_equal(e->h->n, 0);
}

struct bad {
	const char *what;
	const char *fields[8];
	const char *answer; /* NULL: reset */
};

static const struct bad bads[] = {
	{"host differs", {GET, HOST, "host: other"}, ":status: 400"},
	{"no authority", {GET, "host: h.test"}, ":status: 400"},
	{"no authority at all", {GET}, NULL},
	{"empty authority", {GET, ":authority: "}, NULL},
	{"scheme", {":method: GET", ":scheme: http", ":path: /", HOST},
		":status: 400"},
	{"no scheme", {":method: GET", ":path: /", HOST}, NULL},
	{"no path", {":method: GET", ":scheme: https", HOST}, NULL},
	{"empty path", {":method: GET", ":scheme: https", ":path: ", HOST},
		NULL},
	{"a path that is none",
		{":method: GET", ":scheme: https", ":path: x", HOST}, NULL},
	{"a space in the path",
		{":method: GET", ":scheme: https", ":path: / HTTP/1.1", HOST},
		NULL},
	{"an absolute path",
		{":method: GET", ":scheme: https", ":path: https://o/", HOST},
		NULL},
	{"a quote in the path",
		{":method: GET", ":scheme: https", ":path: /\"", HOST},
		":status: 400"},
	{"asterisk", {":method: GET", ":scheme: https", ":path: *", HOST},
		NULL},
	{"method", {":method: G T", ":scheme: https", ":path: /", HOST}, NULL},
	{"CONNECT", {":method: CONNECT", HOST}, ":status: 405"},
	{"protocol",
		{":method: CONNECT", ":scheme: https", ":path: /", HOST,
			":protocol: websocket"},
		NULL},
	{"unknown pseudo field", {GET, HOST, ":x: y"}, NULL},
	{"answer's pseudo field", {GET, HOST, ":status: 200"}, NULL},
	{"pseudo after", {GET, "a: b", HOST}, NULL},
	{"two paths", {GET, ":path: /", HOST}, NULL},
	{"two authorities", {GET, HOST, HOST}, NULL},
	{"connection", {GET, HOST, "connection: close"}, NULL},
	{"keep-alive", {GET, HOST, "keep-alive: 1"}, NULL},
	{"proxy-connection", {GET, HOST, "proxy-connection: x"}, NULL},
	{"transfer-encoding", {GET, HOST, "transfer-encoding: chunked"}, NULL},
	{"upgrade", {GET, HOST, "upgrade: websocket"}, NULL},
	{"te", {GET, HOST, "te: gzip"}, NULL},
	{"capitals", {GET, HOST, "X-Key: a"}, NULL},
	{"a space in a name", {GET, HOST, "x y: a"}, ":status: 400"},
	{"a line feed in a value", {GET, HOST, "x: a\nb: c"}, ":status: 400"},
	{"a space before a value", {GET, HOST, "x:  a"}, ":status: 400"},
	{"two lengths", {POST, "content-length: 1", "content-length: 1"}, NULL},
	{"a length and no body", {POST, "content-length: 1"}, NULL},
};

static void test_forbidden(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bads); i++) {
		struct ends *e = ends_new();

		(void)ends_ask(e, bads[i].fields, 0, NULL);
		if (heard(&e->server, "1 ") || !e->refused ||
			heard(&e->guest, "1 :status: 2"))
			fail_msg("%s passed", bads[i].what);
		if (!bads[i].answer && !heard(&e->guest, "1 reset 1\n"))
			fail_msg("%s was not reset", bads[i].what);
		if (bads[i].answer && !heard(&e->guest, bads[i].answer))
			fail_msg("%s was not told: %.*s", bads[i].what,
				(int)buf_len(&e->guest.log),
				(const char *)buf_head(&e->guest.log));
		/* The connection goes on. */
		(void)ends_ask(e, FIELDS(GET, HOST), 0, NULL);
		ends_answer(e, e->server.newest, OK, 0, NULL);
		assert_true(heard(&e->guest, "3 :status: 200\n"));
		assert_int_equal(e->h->n, 0);
		ends_free(e);
	}
}

static void test_options_asterisk(void **state)
{
	struct ends *e = *state;

	(void)ends_ask(e,
		FIELDS(":method: OPTIONS", ":scheme: https", ":path: *", HOST),
		0, NULL);
	assert_true(heard(&e->server, "1 :path: *\n"));
}

static size_t held(const struct ends *e)
{
	size_t n = 0;

	list_for_each (it, &e->h->exchanges) {
		const struct exchange *x =
			list_entry(it, struct exchange, link);

		n += buf_len(&x->body[0]) + buf_len(&x->body[1]);
	}
	return n;
}

/* A reader that takes nothing stops the writer; what is held is bounded. */
static void test_slow_server(void **state)
{
	struct ends *e = *state;
	const size_t size = 4u << 20;
	int32_t id, other;

	e->server.eats = false;
	id = ends_ask(e, FIELDS(POST), size, NULL);
	assert_true(e->guest.body[id / 2].left > size - (1u << 18));
	assert_true(held(e) <= 65536);
	/* Another stream is not stopped by it. */
	other = ends_ask(e, FIELDS(GET, HOST), 0, NULL);
	ends_answer(e, other, OK, 3, NULL);
	assert_true(heard(&e->guest, "3 end\n"));
	e->server.eats = true;
	(void)nghttp2_session_consume(e->server.s, id, e->server.got);
	ends_run(e);
	assert_int_equal(e->server.got, size);
	assert_true(heard(&e->server, "1 end\n"));
	assert_int_equal(held(e), 0);
}

static void test_slow_guest(void **state)
{
	struct ends *e = *state;
	const size_t size = 8u << 20;
	int32_t id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

	e->guest.eats = false;
	ends_answer(e, id, OK, size, NULL);
	assert_true(held(e) <= H2_WINDOW / 4);
	assert_true(e->server.body[id / 2].left > size - H2_WINDOW);
	e->guest.eats = true;
	(void)nghttp2_session_consume(e->guest.s, id, e->guest.got);
	ends_run(e);
	assert_int_equal(e->guest.got, size);
	assert_true(heard(&e->guest, "1 end\n"));
}

static void test_trailers(void **state)
{
	struct ends *e = *state;
	int32_t id = ends_ask(e, FIELDS(POST), 10, "x-sum: 1");

	assert_true(heard(&e->server, "1 x-sum: 1\n1 end\n"));
	ends_answer(e, id, OK, 5, "grpc-status: 0");
	assert_true(heard(&e->guest, "1 grpc-status: 0\n1 end\n"));
	/* None of the body, and one that may not stand there. */
	id = ends_ask(e, FIELDS(POST), 0, "authorization: x");
	assert_true(heard(&e->server, "3 end\n"));
	assert_false(heard(&e->server, "3 authorization"));
	ends_answer(e, id, OK, 0, "x-only: t");
	assert_true(heard(&e->guest, "3 x-only: t\n3 end\n"));
	assert_int_equal(e->h->n, 0);
}

static void test_interim(void **state)
{
	struct ends *e = *state;
	int32_t id;

	e->guest.body[0].hold = true;
	id = ends_ask(e, FIELDS(POST, "expect: 100-continue"), 0, NULL);
	assert_true(heard(&e->server, "1 expect: 100-continue\n"));
	ends_interim(e, id, ":status: 100");
	ends_interim(e, id, ":status: 103");
	assert_true(heard(&e->guest, "1 :status: 100\n1 :status: 103\n"));
	assert_false(heard(&e->server, "1 end\n"));
	ends_more(e, &e->guest, id, 4, true);
	assert_true(heard(&e->server, "1 end\n"));
	assert_int_equal(e->server.got, 4);
	ends_answer(e, id, OK, 2, NULL);
	assert_true(heard(&e->guest, "1 :status: 200\n1 end\n"));
}

/* Events: each piece goes on at once. */
static void test_pieces(void **state)
{
	struct ends *e = *state;
	int32_t id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

	e->server.body[0].hold = true;
	ends_answer(e, id, OK, 1, NULL);
	for (size_t i = 1; i < 10; i++) {
		assert_int_equal(e->guest.got, i);
		assert_int_equal(held(e), 0);
		ends_more(e, &e->server, id, 1, i == 9);
	}
	assert_true(heard(&e->guest, "1 end\n"));
}

static void test_resets(void **state)
{
	struct ends *e = *state;
	int32_t id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

	(void)nghttp2_submit_rst_stream(e->guest.s, 0, id, NGHTTP2_CANCEL);
	ends_run(e);
	assert_true(heard(&e->server, "1 reset 8\n"));
	id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);
	(void)nghttp2_submit_rst_stream(
		e->server.s, 0, id, NGHTTP2_REFUSED_STREAM);
	ends_run(e);
	assert_true(heard(&e->guest, "3 reset 7\n"));
	/* In the middle of an answer, without an error: it is one. */
	id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);
	ends_answer(
		e, id, FIELDS(":status: 200", "content-length: 9"), 4, "x: y");
	assert_false(heard(&e->guest, "5 end\n"));
	assert_true(heard(&e->guest, "5 reset"));
	assert_int_equal(e->h->n, 0);
}

/* RFC 9113 section 8.1: an answer before the request has ended. */
static void test_early_answer(void **state)
{
	struct ends *e = *state;
	int32_t id;

	e->server.eats = false;
	id = ends_ask(e, FIELDS(POST), 4u << 20, NULL);
	ends_answer(e, id, FIELDS(":status: 413"), 3, NULL);
	(void)nghttp2_submit_rst_stream(e->server.s, 0, id, NGHTTP2_NO_ERROR);
	ends_run(e);
	assert_true(heard(&e->guest, "1 :status: 413\n1 end\n1 reset 0\n"));
	assert_int_equal(e->h->n, 0);
	/* Its bytes were given back to the connection. */
	e->server.eats = true;
	(void)nghttp2_session_consume_connection(e->server.s, e->server.got);
	(void)ends_ask(e, FIELDS(POST), 200000, NULL);
	assert_true(heard(&e->server, "3 end\n"));
}

static void test_server_gone(void **state)
{
	struct ends *e = *state;
	int32_t one = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

	(void)ends_ask(e, FIELDS(POST), 4u << 20, NULL);
	e->server.body[one / 2].hold = true;
	ends_answer(
		e, one, FIELDS(":status: 200", "content-length: 9"), 4, NULL);
	e->h->io.eof[HTTP_SERVER] = true;
	ends_run(e);
	assert_true(heard(&e->guest, "3 :status: 502\n"));
	assert_true(heard(&e->guest, "the server closed"));
	assert_true(heard(&e->guest, "1 reset"));
	assert_true(heard(&e->guest, "goaway 0\n"));
	assert_true(e->h->io.done);
	assert_int_equal(e->h->n, 0);
}

/* What it has answered whole still arrives. */
static void test_answer_and_gone(void **state)
{
	struct ends *e = *state;
	int32_t id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

	e->guest.eats = false;
	ends_answer(e, id, OK, 200000, NULL);
	e->h->io.eof[HTTP_SERVER] = true;
	ends_run(e);
	assert_false(e->h->io.done);
	e->guest.eats = true;
	(void)nghttp2_session_consume(e->guest.s, id, e->guest.got);
	ends_run(e);
	assert_int_equal(e->guest.got, 200000);
	assert_true(heard(&e->guest, "1 end\n"));
	assert_true(e->h->io.done);
}

static void test_goaway(void **state)
{
	struct ends *e = *state;
	int32_t id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

	(void)nghttp2_submit_goaway(e->server.s, 0, id, 0, NULL, 0);
	ends_run(e);
	assert_true(heard(&e->guest, "goaway 0\n"));
	ends_answer(e, id, OK, 3, NULL);
	assert_true(heard(&e->guest, "1 end\n"));
	assert_true(e->h->io.done);
}

static void test_guest_gone(void **state)
{
	struct ends *e = *state;

	(void)ends_ask(e, FIELDS(GET, HOST), 0, NULL);
	e->h->io.eof[HTTP_CLIENT] = true;
	ends_run(e);
	assert_true(e->h->io.done);
}

static void test_large_head(void **state)
{
	struct ends *e = *state;
	_cleanup_free_ char *big = xcalloc(1, 40000);

	memset(big, 'a', 39999);
	memcpy(big, "x-big: ", 7);
	(void)ends_ask(e, FIELDS(GET, HOST, big, big), 0, NULL);
	assert_true(heard(&e->guest, "1 :status: 431\n"));
	assert_null(e->h->session[HTTP_SERVER]);
	(void)ends_ask(e, FIELDS(GET, HOST, big), 0, NULL);
	assert_true(heard(&e->server, "1 x-big: aaa"));
	ends_answer(e, 1, FIELDS(":status: 200", big, big), 0, NULL);
	assert_true(heard(&e->guest, "3 :status: 502\n"));
	assert_int_equal(e->h->n, 0);
}

/* More streams than the server takes wait; more than ours are refused. */
static void test_many(void **state)
{
	const nghttp2_settings_entry two = {
		NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2};
	struct ends *e = *state;

	(void)nghttp2_submit_settings(e->server.s, 0, &two, 1);
	(void)ends_ask(e, FIELDS(GET, HOST, "x-key: SWAP"), 0, NULL);
	for (int i = 0; i < 3; i++)
		(void)ends_ask(e, FIELDS(GET, HOST, "x-key: SWAP"), 0, NULL);
	assert_true(heard(&e->server, "3 :path"));
	assert_false(heard(&e->server, "5 :path"));
	assert_int_equal(e->h->n_secrets, 2);
	ends_answer(e, 1, OK, 0, NULL);
	assert_true(heard(&e->server, "5 x-key: real\n"));
	/* One that still waits is cancelled. */
	(void)nghttp2_submit_rst_stream(e->guest.s, 0, 7, NGHTTP2_CANCEL);
	ends_run(e);
	ends_answer(e, 3, OK, 0, NULL);
	assert_int_equal(e->h->n_secrets, 0);
	assert_false(heard(&e->server, "7 :path"));
	assert_int_equal(e->h->n, 1);
}

/* CVE-2023-44487: what is reset at once still costs the server. */
static void test_rapid_reset(void **state)
{
	struct ends *e = *state;
	unsigned i;

	for (i = 0; i < 5000 && !e->h->io.done; i++) {
		int32_t id = ends_ask(e, FIELDS(GET, HOST), 0, NULL);

		(void)nghttp2_submit_rst_stream(
			e->guest.s, 0, id, NGHTTP2_CANCEL);
		ends_run(e);
		assert_true(e->h->n <= H2_EXCHANGES_MAX);
	}
	assert_true(e->h->io.done);
	assert_true(i >= H2_RESETS_MAX && i < H2_RESETS_MAX + 100);
	assert_int_equal(e->refused, 1);
}

static void test_floods(void **state)
{
	static const uint8_t ping[17] = {0, 0, 8, 6};
	static const uint8_t settings[9] = {0, 0, 0, 4};
	static const uint8_t empty[9] = {0, 0, 0, 0, 0, 0, 0, 0, 1};
	static const struct {
		const uint8_t *p;
		size_t n;
	} floods[] = {{ping, 17}, {settings, 9}, {empty, 9}};

	for (size_t k = 0; k < ARRAY_SIZE(floods); k++) {
		struct ends *e = ends_new();
		size_t sent = 0;

		(void)ends_ask(e, FIELDS(POST), 100000, NULL);
		e->guest.body[0].hold = true;
		while (!e->h->io.done && sent < 4u * H2_NOISE_MAX) {
			assert_int_equal(buf_put(&e->h->io.in[HTTP_CLIENT],
						 floods[k].p, floods[k].n),
				0);
			sent += floods[k].n;
			h2_step(e->h);
			buf_clear(&e->h->io.out[HTTP_CLIENT]);
			buf_clear(&e->h->io.out[HTTP_SERVER]);
		}
		assert_true(e->h->io.done);
		assert_int_equal(e->refused, 1);
		ends_free(e);
	}
}

/* CVE-2024-27316 and its like: a head without an end. */
static void test_continuations(void **state)
{
	static const uint8_t head[9] = {0, 0, 0, 1, 0, 0, 0, 0, 1};
	static const uint8_t more[9] = {0, 0, 0, 9, 0, 0, 0, 0, 1};
	struct ends *e = *state;
	struct buf *in = &e->h->io.in[HTTP_CLIENT];

	ends_run(e);
	assert_int_equal(buf_put(in, head, 9), 0);
	for (int i = 0; i < 20 && !e->h->io.done; i++) {
		(void)buf_put(in, more, 9);
		ends_run(e);
	}
	assert_true(e->h->io.done);
	assert_int_equal(e->refused, 1);
}

/* A head of a few bytes that names the same large field again and again. */
static void test_bomb(void **state)
{
	struct ends *e = *state;
	_cleanup_free_ char *big = xcalloc(1, 4000);
	uint8_t frame[9 + 4 + 1000];
	int32_t id;

	memset(big, 'a', 3999);
	memcpy(big, "x-big: ", 7);
	id = ends_ask(e, FIELDS(GET, HOST, big), 0, NULL);
	ends_answer(e, id, OK, 0, NULL);
	memset(frame, 0x80 | 62, sizeof(frame)); /* the newest of the table */
	memcpy(frame, "\0\3\354\1\5\0\0\0\3", 9);
	/* GET, https, /, and no authority: refused for its size before */
	memcpy(frame + 9, "\202\207\204\204", 4);
	for (int i = 0; i < 100; i++) {
		frame[8] = (uint8_t)(3 + 2 * i);
		assert_int_equal(buf_put(&e->h->io.in[HTTP_CLIENT], frame,
					 sizeof(frame)),
			0);
	}
	h2_step(e->h);
	assert_true(e->refused > 50);
	assert_int_equal(e->asked, 1);
	assert_int_equal(e->h->held, 0);
}

static void test_not_http2(void **state)
{
	struct ends *e = *state;

	(void)buf_put(&e->h->io.in[HTTP_CLIENT],
		"GET / HTTP/1.1\r\nHost: h.test\r\n\r\n", 32);
	h2_step(e->h);
	assert_true(e->h->io.done);
	assert_int_equal(e->refused, 1);
}

static bool no_x(void *arg, const struct asked *a)
{
	return !a->path || strcmp(a->path, "/x") != 0;
}

static void test_all(void **state)
{
	struct ends *e = *state;

	(void)ends_ask(e, FIELDS(GET, HOST), 0, NULL);
	assert_true(h2_all(e->h, no_x, NULL));
	(void)ends_ask(e,
		FIELDS(":method: GET", ":scheme: https", ":path: /x", HOST), 0,
		NULL);
	assert_false(h2_all(e->h, no_x, NULL));
	ends_answer(e, 3, OK, 0, NULL);
	assert_true(h2_all(e->h, no_x, NULL));
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_ends, close_ends)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_request),
		T(test_byte_by_byte),
		T(test_target_and_bad_value),
		T(test_denied),
		T(test_forbidden),
		T(test_options_asterisk),
		T(test_slow_server),
		T(test_slow_guest),
		T(test_trailers),
		T(test_interim),
		T(test_pieces),
		T(test_resets),
		T(test_early_answer),
		T(test_server_gone),
		T(test_answer_and_gone),
		T(test_goaway),
		T(test_guest_gone),
		T(test_large_head),
		T(test_many),
		T(test_rapid_reset),
		T(test_floods),
		T(test_continuations),
		T(test_bomb),
		T(test_not_http2),
		T(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
