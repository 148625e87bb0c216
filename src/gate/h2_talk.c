/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges: how a request and its answer get from one session to the other. */
#include "gate/h2.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct exchange *exchange_new(struct h2 *h, int32_t id)
{
	struct exchange *x = xnew(struct exchange);

	x->h = h;
	x->id[HTTP_CLIENT] = id;
	x->open[HTTP_CLIENT] = true;
	for (size_t i = 0; i < 2; i++)
		buf_init(&x->body[i], H2_WINDOW);
	list_add_tail(&h->exchanges, &x->link);
	h->n++;
	return x;
}

/* The sender may send as much again. */
static void give_back(struct exchange *x, enum http_side from, size_t n)
{
	nghttp2_session *s = x->h->session[from];

	if (n && s && x->id[from] && !(from == HTTP_SERVER && x->refused))
		(void)nghttp2_session_consume(s, x->id[from], n);
}

/* Nobody reads any more what came for a side. */
static void drop_body(struct exchange *x, enum http_side to)
{
	give_back(x, 1 - to, buf_len(&x->body[to]));
	buf_done(&x->body[to]);
}

void exchange_free(struct exchange *x)
{
	exchange_written(x);
	for (size_t i = 0; i < 2; i++) {
		drop_body(x, i);
		h2_head_free(x->head[i]);
		h2_head_free(x->trailer[i]);
	}
	asked_done(&x->asked);
	list_del(&x->link);
	x->h->n--;
	free(x);
}

static void reset(struct exchange *x, enum http_side side, uint32_t code)
{
	if (x->open[side] && x->h->session[side])
		(void)nghttp2_submit_rst_stream(x->h->session[side],
			NGHTTP2_FLAG_NONE, x->id[side], code);
}

static void wake(struct exchange *x, enum http_side to)
{
	/* Refused when it does not sleep, which is as well. */
	if (x->open[to])
		(void)nghttp2_session_resume_data(x->h->session[to], x->id[to]);
}

/* ---- bodies ---- */

static void put_trailer(struct exchange *x, enum http_side to, uint32_t *flags)
{
	struct h2_head *t = x->trailer[to];
	nghttp2_nv nv[HTTP_FIELDS_MAX];
	size_t n = t ? h2_head_nv(t, nv, false) : 0;

	if (n &&
		nghttp2_submit_trailer(x->h->session[to], x->id[to], nv, n) ==
			0)
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

/* nghttp2 asks for the next piece for a side. */
static ssize_t on_read(nghttp2_session *s, int32_t id, uint8_t *dst, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct exchange *x = source->ptr;
	enum http_side to =
		s == x->h->session[HTTP_CLIENT] ? HTTP_CLIENT : HTTP_SERVER;
	struct buf *b = &x->body[to];
	size_t n = MIN(len, buf_len(b));

	if (n) {
		memcpy(dst, buf_head(b), n);
		buf_consume(b, n);
		give_back(x, 1 - to, n);
		x->h->useful += n + H2_FRAME_HEAD;
	}
	if (!buf_len(b))
		buf_done(b); /* idle streams hold no memory */
	if (!buf_len(b) && x->ended[to]) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		put_trailer(x, to, flags);
		return (ssize_t)n;
	}
	return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static nghttp2_data_provider body_for(struct exchange *x)
{
	return (nghttp2_data_provider){
		.source = {.ptr = x}, .read_callback = on_read};
}

void exchange_data(
	struct exchange *x, enum http_side from, const uint8_t *p, size_t len)
{
	enum http_side to = 1 - from;

	if (!x->open[to] || x->refused) {
		(void)nghttp2_session_consume(
			x->h->session[from], x->id[from], len);
		return;
	}
	/* The windows see to it that there is room. */
	if (buf_put(&x->body[to], p, len) < 0)
		reset(x, from, NGHTTP2_FLOW_CONTROL_ERROR);
	wake(x, to);
}

void exchange_ended(struct exchange *x, enum http_side from)
{
	if (x->refused && from == HTTP_SERVER)
		return;
	x->ended[1 - from] = true;
	if (!x->refused)
		wake(x, 1 - from);
}

void exchange_trailer(struct exchange *x, enum http_side from)
{
	enum http_side to = 1 - from;

	if (x->refused) {
		exchange_ended(x, from);
		return;
	}
	if (x->head[from]->refused) {
		reset(x, HTTP_CLIENT, NGHTTP2_INTERNAL_ERROR);
		reset(x, HTTP_SERVER, NGHTTP2_CANCEL);
		return;
	}
	h2_head_trailer(x->head[from]);
	h2_head_free(x->trailer[to]);
	x->trailer[to] = TAKE_PTR(x->head[from]);
	exchange_ended(x, from);
}

/* ---- refusals ---- */

static nghttp2_nv nv_of(const char *name, const char *value)
{
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value)};
}

static int put_reply(struct exchange *x, const struct h2_reply *r)
{
	nghttp2_data_provider body = body_for(x);
	char status[16], length[24];
	nghttp2_nv nv[4];

	(void)snprintf(status, sizeof(status), "%u", r->status);
	(void)snprintf(length, sizeof(length), "%zu", buf_len(&r->body));
	nv[0] = nv_of(":status", status);
	nv[1] = nv_of("content-type", "text/plain");
	nv[2] = nv_of("cove-denied", r->rule);
	nv[3] = nv_of("content-length", length);
	return nghttp2_submit_response(x->h->session[HTTP_CLIENT],
		x->id[HTTP_CLIENT], nv, ARRAY_SIZE(nv),
		x->to_head ? NULL : &body);
}

static void reply(struct exchange *x, const struct h2_reply *r)
{
	drop_body(x, HTTP_CLIENT);
	drop_body(x, HTTP_SERVER);
	x->refused = x->answered = x->ended[HTTP_CLIENT] = true;
	if (!x->to_head)
		(void)buf_put(&x->body[HTTP_CLIENT], buf_head(&r->body),
			buf_len(&r->body));
	if (put_reply(x, r) < 0)
		reset(x, HTTP_CLIENT, NGHTTP2_INTERNAL_ERROR);
}

static void refuse(struct exchange *x, uint16_t status, const char *why)
{
	struct h2_reply r = {.status = status, .rule = "default"};

	buf_init(&r.body, 2048);
	x->h->ops->refuse(x->h->arg, status, why, &r);
	reply(x, &r);
	buf_done(&r.body);
}

/* ---- requests ---- */

void exchange_written(struct exchange *x)
{
	struct h2 *h = x->h;

	if (!x->sent)
		return;
	h->held -= buf_len(&x->sent->text);
	if (x->sent->values.cap)
		h->n_secrets--;
	h2_head_free(TAKE_PTR(x->sent));
}

/* nghttp2 keeps it until the server lets it send. */
static void pass(struct exchange *x, bool ended)
{
	struct h2 *h = x->h;
	nghttp2_data_provider body = body_for(x);
	nghttp2_nv nv[HTTP_FIELDS_MAX];
	int32_t id;

	id = nghttp2_submit_request(h->session[HTTP_SERVER], NULL, nv,
		h2_head_nv(x->sent, nv, true), ended ? NULL : &body, x);
	if (id < 0) {
		refuse(x, 502, "no further request to this server");
		return;
	}
	h->held += buf_len(&x->sent->text);
	if (x->sent->values.cap)
		h->n_secrets++;
	x->id[HTTP_SERVER] = id;
	x->open[HTTP_SERVER] = true;
}

static bool judge(struct exchange *x, const struct request *r)
{
	struct h2_reply answer = {.rule = "default"};
	bool ok;

	buf_init(&answer.body, 2048);
	ok = x->h->ops->request(x->h->arg, r, &x->asked, &answer);
	if (!ok)
		reply(x, &answer);
	buf_done(&answer.body);
	return ok;
}

void exchange_begin(struct exchange *x, bool ended)
{
	struct h2_head *head = TAKE_PTR(x->head[HTTP_CLIENT]);
	struct h2 *h = x->h;
	struct request r;
	int e;

	x->ended[HTTP_SERVER] = ended;
	e = h2_head_request(head, &r);
	x->to_head =
		e == 0 && r.method_len == 4 && memcmp(r.method, "HEAD", 4) == 0;
	if (e == 0 && !judge(x, &r)) {
		h2_head_free(head);
		return;
	}
	if (e < 0)
		refuse(x, head->refused, head->why);
	else if (h->held + buf_len(&head->text) > H2_HEADS_MAX)
		refuse(x, 431, "too many requests wait for the server");
	else if (h->gone || h2_server(h) < 0)
		refuse(x, 502, "the server closed");
	else if (h2_head_values(head, h->ops->value, h->arg) < 0)
		refuse(x, 431, "the request's head is too large");
	else
		x->sent = TAKE_PTR(head);
	h2_head_free(head);
	if (x->sent)
		pass(x, ended);
}

/* ---- answers ---- */

static void pass_answer(struct exchange *x, unsigned status, bool ended)
{
	nghttp2_session *s = x->h->session[HTTP_CLIENT];
	nghttp2_data_provider body = body_for(x);
	nghttp2_nv nv[HTTP_FIELDS_MAX];
	size_t n = h2_head_nv(x->head[HTTP_SERVER], nv, false);
	int r;

	x->ended[HTTP_CLIENT] = ended;
	if (status < 200) {
		r = nghttp2_submit_headers(s, NGHTTP2_FLAG_NONE,
			x->id[HTTP_CLIENT], NULL, nv, n, NULL);
	} else {
		x->answered = true;
		r = nghttp2_submit_response(
			s, x->id[HTTP_CLIENT], nv, n, ended ? NULL : &body);
	}
	if (r < 0)
		reset(x, HTTP_CLIENT, NGHTTP2_INTERNAL_ERROR);
}

void exchange_answer(struct exchange *x, bool ended)
{
	struct h2_head *head = x->head[HTTP_SERVER];
	unsigned status = h2_head_status(head);

	if (!x->open[HTTP_CLIENT] || x->refused)
		return;
	if (head->refused || !status) {
		reset(x, HTTP_SERVER, NGHTTP2_CANCEL);
		refuse(x, 502,
			head->refused ? "the answer's head is too large"
				      : "malformed answer");
		return;
	}
	pass_answer(x, status, ended);
	h2_head_free(TAKE_PTR(x->head[HTTP_SERVER]));
}

void exchange_told(struct exchange *x)
{
	x->told = true;
	/* What it still sends has no reader: RFC 9113 section 8.1. */
	if (!x->open[HTTP_SERVER] && !x->ended[HTTP_SERVER])
		reset(x, HTTP_CLIENT, NGHTTP2_NO_ERROR);
}

/* ---- ends ---- */

static void guest_closed(struct exchange *x, uint32_t code)
{
	if (code == NGHTTP2_NO_ERROR && x->told && x->ended[HTTP_SERVER])
		return;
	reset(x, HTTP_SERVER, code ? code : NGHTTP2_CANCEL);
}

/* An end without an answer is one that a client may not take for an answer. */
static void server_closed(struct exchange *x, uint32_t code)
{
	if (x->refused || (x->told && x->ended[HTTP_SERVER]))
		return;
	if (x->told)
		reset(x, HTTP_CLIENT, NGHTTP2_NO_ERROR);
	else if (!x->ended[HTTP_CLIENT] || !x->answered)
		reset(x, HTTP_CLIENT, code ? code : NGHTTP2_INTERNAL_ERROR);
}

void exchange_closed(struct exchange *x, enum http_side side, uint32_t code)
{
	x->open[side] = false;
	drop_body(x, side);
	if (side == HTTP_CLIENT)
		guest_closed(x, code);
	else
		server_closed(x, code);
	if (!x->open[HTTP_CLIENT] && !x->open[HTTP_SERVER])
		exchange_free(x);
}

void exchange_orphaned(struct exchange *x)
{
	bool was = x->open[HTTP_SERVER];

	x->open[HTTP_SERVER] = false;
	exchange_written(x);
	drop_body(x, HTTP_SERVER);
	if (!x->open[HTTP_CLIENT])
		exchange_free(x);
	else if (was && !x->answered)
		refuse(x, 502, "the server closed without an answer");
	else if (was)
		server_closed(x, NGHTTP2_NO_ERROR);
}
