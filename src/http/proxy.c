/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy.h"

#include <errno.h>
#include <string.h>

enum req_state {
	REQ_HEAD,
	REQ_BODY,
	REQ_DONE, /* waits for the end of its answer */
	REQ_END,  /* no further request; what still comes is dropped */
};

enum resp_state { RESP_IDLE, RESP_HEAD, RESP_BODY };

void http_proxy_init(
	struct http_proxy *p, const struct http_proxy_ops *ops, void *arg)
{
	memset(p, 0, sizeof(*p));
	p->ops = ops;
	p->arg = arg;
	for (size_t i = 0; i < 2; i++) {
		buf_init(&p->io.in[i], HTTP_PROXY_IN);
		buf_init(&p->io.out[i], HTTP_PROXY_OUT);
	}
	buf_init(&p->trailer, HTTP_TRAILER_MAX);
	buf_init(&p->value, HTTP_HEAD_MAX);
	http_parser_init(&p->req_parser, HTTP_REQUEST);
	http_parser_init(&p->resp_parser, HTTP_RESPONSE);
}

void http_proxy_done(struct http_proxy *p)
{
	for (size_t i = 0; i < 2; i++) {
		buf_done(&p->io.in[i]);
		buf_done(&p->io.out[i]);
	}
	buf_done(&p->trailer);
	buf_done(&p->value);
}

size_t http_proxy_room(const struct http_pipe *io, enum http_side side)
{
	size_t used = buf_len(&io->in[side]);
	size_t most = io->raw ? HTTP_PROXY_HIGH : HTTP_PROXY_IN;

	if (io->eof[side] || buf_len(&io->out[1 - side]) >= HTTP_PROXY_HIGH ||
		buf_len(&io->out[side]) >= 2u * HTTP_PROXY_HIGH)
		return 0;
	return used < most ? most - used : 0;
}

static void end(struct http_proxy *p, bool reset)
{
	p->io.done = true;
	p->io.reset = p->io.reset || reset;
	p->req = REQ_END;
	p->resp = RESP_IDLE;
	buf_done(&p->io.in[HTTP_CLIENT]);
	buf_done(&p->io.in[HTTP_SERVER]);
	buf_done(&p->io.out[HTTP_SERVER]);
}

/* Only while nothing of an answer was passed on; later there is no word. */
static void refuse(struct http_proxy *p, unsigned status, const char *why)
{
	if (p->resp != RESP_BODY)
		p->ops->refuse(p->arg, status, why, &p->io.out[HTTP_CLIENT]);
	end(p, p->resp == RESP_BODY);
}

/* ---- bodies ---- */

static int put_piece(
	struct buf *out, bool chunked, const uint8_t *data, size_t len)
{
	return chunked ? http_put_chunk(out, data, len)
		       : buf_put(out, data, len);
}

/*
 * Moves what is there of a body: 1 it ended, 0 more is needed or the reader is
 * slow, -errno.
 */
static int move_body(struct http_proxy *p, struct http_body *body,
	enum http_side from, bool *ret_moved)
{
	struct buf *in = &p->io.in[from], *out = &p->io.out[1 - from];
	bool chunked = p->out_chunked[1 - from];
	const uint8_t *data;
	size_t used, len;
	int r = 0, e;

	while (r == 0 && buf_len(in) && buf_len(out) < HTTP_PROXY_HIGH) {
		r = http_body_feed(body, buf_head(in),
			MIN(buf_len(in), (size_t)HTTP_PROXY_HIGH), &used, &data,
			&len);
		if (r < 0)
			return r;
		e = len ? put_piece(out, chunked, data, len) : 0;
		if (e < 0)
			return e;
		buf_consume(in, used);
		*ret_moved = true;
	}
	if (r == 0 && !buf_len(in) && p->io.eof[from]) {
		if (http_body_eof(body) < 0)
			return -EPIPE;
		r = 1;
	}
	if (r == 1 && chunked)
		e = http_proxy_put_end(out, &p->trailer);
	else
		e = 0;
	if (r == 1)
		buf_done(&p->trailer);
	return e < 0 ? e : r;
}

static void begin_body(
	struct http_proxy *p, struct http_body *body, const struct http_head *h)
{
	http_body_init(body, h);
	body->trailer = &p->trailer;
}

/* ---- requests ---- */

/* Upgrades that would lead to HTTP or TLS that nobody looks into. */
static bool may_upgrade(const struct http_head *h)
{
	static const char *const never[] = {
		"h2c", "h2", "http/2.0", "tls/1.0", "tls/1.2", "tls/1.3"};

	if (!h->upgrade || h->framing != HTTP_BODY_NONE)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (http_has_token(h, "upgrade", never[i]))
			return false;
	return true;
}

static void next_request(struct http_proxy *p)
{
	http_parser_init(&p->req_parser, HTTP_REQUEST);
	p->req = REQ_HEAD;
	p->io.busy = false;
}

static void denied(struct http_proxy *p, bool keep)
{
	size_t size = p->req_parser.head.size;

	if (!keep) {
		end(p, false);
		return;
	}
	buf_consume(&p->io.in[HTTP_CLIENT], size);
	next_request(p);
}

static void begin_request(struct http_proxy *p)
{
	struct http_head *h = &p->req_parser.head;
	bool keep = h->keep_alive && h->framing == HTTP_BODY_NONE;
	int r;

	if (h->form == HTTP_FORM_AUTHORITY) {
		refuse(p, 405, "CONNECT is not carried: connect to the host");
		return;
	}
	if (!p->ops->request(p->arg, h, keep, &p->io.out[HTTP_CLIENT])) {
		denied(p, keep);
		return;
	}
	p->upgrade = h->upgrade = may_upgrade(h);
	p->old_client = h->minor == 0;
	p->keep = h->keep_alive;
	p->expects = h->expect_continue;
	p->out_chunked[HTTP_SERVER] = h->framing == HTTP_BODY_CHUNKED;
	r = http_proxy_put_request(p, h);
	if (r < 0) {
		refuse(p, 431, "the request's head is too large");
		return;
	}
	http_parser_init(&p->resp_parser, HTTP_RESPONSE);
	p->resp_parser.to_head = http_span_is(h, h->method, "HEAD");
	begin_body(p, &p->req_body, h);
	buf_consume(&p->io.in[HTTP_CLIENT], h->size);
	p->io.busy = true;
	p->resp = RESP_HEAD;
	p->req = h->framing == HTTP_BODY_NONE ? REQ_DONE : REQ_BODY;
}

static bool read_request(struct http_proxy *p)
{
	struct buf *in = &p->io.in[HTTP_CLIENT];
	int r;

	if (buf_len(&p->io.out[HTTP_CLIENT]) >= HTTP_PROXY_HIGH)
		return false;
	r = http_parse(&p->req_parser, buf_head(in), buf_len(in));
	if (r < 0) {
		refuse(p, p->req_parser.status, p->req_parser.why);
		return true;
	}
	if (r == 0) {
		if (p->io.eof[HTTP_CLIENT])
			end(p, buf_len(in) > 0);
		return p->io.done;
	}
	begin_request(p);
	return true;
}

/* Its answer may have been passed already: then there is no word left. */
static void bad_body(struct http_proxy *p)
{
	if (p->resp == RESP_IDLE)
		end(p, true);
	else
		refuse(p, 400, "malformed or broken request body");
}

static void body_ended(struct http_proxy *p)
{
	p->req = REQ_DONE;
	if (p->resp == RESP_IDLE)
		next_request(p);
}

static bool step_request(struct http_proxy *p)
{
	bool moved = false;
	int r;

	switch ((enum req_state)p->req) {
	case REQ_HEAD:
		return read_request(p);
	case REQ_BODY:
		if (buf_len(&p->io.in[HTTP_CLIENT]))
			p->expects = false;
		r = move_body(p, &p->req_body, HTTP_CLIENT, &moved);
		if (r < 0)
			bad_body(p);
		if (r == 1)
			body_ended(p);
		return moved || r != 0;
	case REQ_DONE:
	case REQ_END:
		break;
	}
	return false;
}

/* ---- responses ---- */

static void response_ended(struct http_proxy *p)
{
	p->resp = RESP_IDLE;
	p->n_done++;
	/* A client that was not told to go on may or may not send its body. */
	if (!p->keep || (p->expects && p->req == REQ_BODY))
		end(p, false);
	else if (p->req == REQ_DONE)
		next_request(p);
}

static void go_raw(struct http_proxy *p)
{
	p->io.raw = true;
	p->req = REQ_END;
	p->resp = RESP_IDLE;
}

static void begin_response(struct http_proxy *p)
{
	struct http_head *h = &p->resp_parser.head;
	bool interim = h->status < 200 && h->status != 101;

	if (h->status == 101 && (!p->upgrade || !h->upgrade)) {
		refuse(p, 502, "the server switched protocols unasked");
		return;
	}
	if (!interim)
		p->keep = p->keep && h->keep_alive;
	p->out_chunked[HTTP_CLIENT] =
		h->framing == HTTP_BODY_CHUNKED && !p->old_client;
	if (p->old_client && h->framing == HTTP_BODY_CHUNKED)
		p->keep = false;
	/* HTTP/1.0 knows no answer before the answer. */
	if (!(interim && p->old_client) && http_proxy_put_response(p, h) < 0) {
		refuse(p, 502, "the answer's head is too large");
		return;
	}
	buf_consume(&p->io.in[HTTP_SERVER], h->size);
	if (interim) {
		bool to_head = p->resp_parser.to_head;

		http_parser_init(&p->resp_parser, HTTP_RESPONSE);
		p->resp_parser.to_head = to_head;
		p->expects = p->expects && h->status != 100;
		return;
	}
	if (h->status == 101) {
		go_raw(p);
		return;
	}
	begin_body(p, &p->resp_body, h);
	p->resp = RESP_BODY;
	if (h->framing == HTTP_BODY_NONE)
		response_ended(p);
}

/* The server closed without an answer. */
static void no_answer(struct http_proxy *p)
{
	/*
	 * A kept connection that it closed just now: a client repeats what
	 * was cut without a word, but not what was answered.
	 */
	if (p->n_done && !buf_len(&p->io.in[HTTP_SERVER]))
		end(p, true);
	else
		refuse(p, 502, "the server closed without an answer");
}

static bool read_response(struct http_proxy *p)
{
	struct buf *in = &p->io.in[HTTP_SERVER];
	int r;

	if (buf_len(&p->io.out[HTTP_CLIENT]) >= HTTP_PROXY_HIGH)
		return false;
	r = http_parse(&p->resp_parser, buf_head(in), buf_len(in));
	if (r < 0) {
		refuse(p, 502, p->resp_parser.why);
		return true;
	}
	if (r == 0) {
		if (p->io.eof[HTTP_SERVER])
			no_answer(p);
		return p->io.done;
	}
	begin_response(p);
	return true;
}

static bool step_response(struct http_proxy *p)
{
	bool moved = false;
	int r;

	switch ((enum resp_state)p->resp) {
	case RESP_IDLE:
		/* Answers to nothing, or the server does not go on. */
		if (buf_len(&p->io.in[HTTP_SERVER]) || p->io.eof[HTTP_SERVER]) {
			end(p, false);
			return true;
		}
		return false;
	case RESP_HEAD:
		return read_response(p);
	case RESP_BODY:
		r = move_body(p, &p->resp_body, HTTP_SERVER, &moved);
		if (r < 0)
			refuse(p, 502, "malformed or broken answer");
		if (r == 1)
			response_ended(p);
		return moved || r != 0;
	}
	return false;
}

/* ---- after an upgrade ---- */

static bool move_raw(struct http_proxy *p, enum http_side from)
{
	struct buf *in = &p->io.in[from], *out = &p->io.out[1 - from];

	if (!buf_len(in) || buf_len(out) >= HTTP_PROXY_HIGH)
		return false;
	if (buf_put(out, buf_head(in), buf_len(in)) < 0)
		return false;
	buf_done(in);
	return true;
}

static bool raw_ended(const struct http_pipe *io)
{
	return io->eof[HTTP_CLIENT] && io->eof[HTTP_SERVER] &&
		!buf_len(&io->in[HTTP_CLIENT]) &&
		!buf_len(&io->in[HTTP_SERVER]) &&
		!buf_len(&io->out[HTTP_SERVER]);
}

void http_proxy_step(struct http_proxy *p)
{
	bool moved = true;

	while (moved && !p->io.done) {
		if (p->io.raw) {
			moved = move_raw(p, HTTP_CLIENT);
			moved = move_raw(p, HTTP_SERVER) || moved;
			if (raw_ended(&p->io))
				end(p, false);
			continue;
		}
		moved = step_request(p);
		/* A server may answer before the body is there. */
		if (!p->io.done && !p->io.raw)
			moved = step_response(p) || moved;
	}
}
