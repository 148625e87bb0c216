/* SPDX-License-Identifier: Apache-2.0 */
/* The two sessions: what nghttp2 is told, what it tells, how bytes move. */
#include "gate/h2.h"

#include <errno.h>
#include <string.h>

#define FEED 16384u /* bytes of a side between two looks at what to write */
#define STREAM_WINDOW 65535u

static enum http_side side_of(const struct h2 *h, const nghttp2_session *s)
{
	return s == h->session[HTTP_CLIENT] ? HTTP_CLIENT : HTTP_SERVER;
}

static struct exchange *exchange_of(nghttp2_session *s, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(s, id) : NULL;
}

/* ---- heads ---- */

static int on_begin_headers(
	nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	struct exchange *x = exchange_of(s, f->hd.stream_id);
	enum http_side from = side_of(h, s);

	if (!x && from == HTTP_SERVER)
		return 0;
	if (!x && h->n >= H2_EXCHANGES_MAX) {
		/* Those that were reset and the server does not know yet. */
		(void)nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE,
			f->hd.stream_id, NGHTTP2_REFUSED_STREAM);
		return 0;
	}
	if (!x) {
		x = exchange_new(h, f->hd.stream_id);
		(void)nghttp2_session_set_stream_user_data(
			s, f->hd.stream_id, x);
	}
	h2_head_free(x->head[from]);
	x->head[from] = h2_head_new();
	return 0;
}

static struct h2_head *head_of(
	struct h2 *h, nghttp2_session *s, const nghttp2_frame *f)
{
	struct exchange *x = exchange_of(s, f->hd.stream_id);

	return x ? x->head[side_of(h, s)] : NULL;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f,
	const uint8_t *name, size_t name_len, const uint8_t *value, size_t len,
	uint8_t flags, void *arg)
{
	struct h2 *h = arg;
	struct h2_head *head = head_of(h, s, f);

	if (!head)
		return 0;
	/* A few bytes may name many: RFC 7541 section 7.3. */
	h->decoded += name_len + len;
	if (h->decoded > H2_HEADS_MAX)
		h2_head_refuse(head, 431, "too many fields at once");
	h2_head_add(head, name, name_len, value, len);
	return 0;
}

/* A server's is left out, as nghttp2 proposes; a guest's is refused. */
static int on_invalid_header(nghttp2_session *s, const nghttp2_frame *f,
	const uint8_t *name, size_t name_len, const uint8_t *value, size_t len,
	uint8_t flags, void *arg)
{
	struct h2 *h = arg;
	struct h2_head *head = head_of(h, s, f);

	if (head && side_of(h, s) == HTTP_CLIENT)
		h2_head_refuse(head, 400, "a malformed field");
	return 0;
}

static void took_head(
	struct exchange *x, enum http_side from, const nghttp2_frame *f)
{
	bool ended = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (from == HTTP_CLIENT && f->headers.cat == NGHTTP2_HCAT_REQUEST)
		exchange_begin(x, ended);
	else if (from == HTTP_SERVER && !x->answered)
		exchange_answer(x, ended);
	else
		exchange_trailer(x, from);
}

/* ---- other frames ---- */

/* What may come in besides grows with it: see flooded(). */
static void count_useful(struct h2 *h, const nghttp2_frame *f)
{
	bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (f->hd.type == NGHTTP2_HEADERS ||
		(f->hd.type == NGHTTP2_DATA && (f->hd.length || end)))
		h->useful += f->hd.length + H2_FRAME_HEAD;
}

/* The server takes no more: neither does the guest's side. */
static void goodbye(struct h2 *h)
{
	nghttp2_session *s = h->session[HTTP_CLIENT];

	if (h->leaving)
		return;
	h->leaving = true;
	(void)nghttp2_submit_goaway(s, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(s), NGHTTP2_NO_ERROR,
		NULL, 0);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct h2 *h = arg;
	enum http_side from = side_of(h, s);
	struct exchange *x = exchange_of(s, f->hd.stream_id);

	count_useful(h, f);
	if (f->hd.type == NGHTTP2_GOAWAY && from == HTTP_SERVER)
		goodbye(h);
	else if (f->hd.type == NGHTTP2_GOAWAY)
		h->leaving = true;
	if (!x)
		return 0;
	if (f->hd.type == NGHTTP2_HEADERS && x->head[from])
		took_head(x, from, f);
	else if (f->hd.type == NGHTTP2_DATA &&
		(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
		exchange_ended(x, from);
	return 0;
}

static int on_invalid_frame(
	nghttp2_session *s, const nghttp2_frame *f, int error, void *arg)
{
	struct h2 *h = arg;
	bool fields = error == NGHTTP2_ERR_HTTP_HEADER ||
		error == NGHTTP2_ERR_HTTP_MESSAGING;

	if (side_of(h, s) == HTTP_CLIENT)
		h->ops->refuse(h->arg, 400,
			fields ? "fields that HTTP/2 forbids or in a wrong "
				 "place"
			       : nghttp2_strerror(error),
			NULL);
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id,
	const uint8_t *p, size_t len, void *arg)
{
	struct exchange *x = exchange_of(s, id);

	if (x)
		exchange_data(x, side_of(arg, s), p, len);
	else
		(void)nghttp2_session_consume(s, id, len);
	return 0;
}

static int on_sent(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct exchange *x = exchange_of(s, f->hd.stream_id);
	enum http_side to = side_of(arg, s);

	if (!x)
		return 0;
	if (to == HTTP_SERVER && f->hd.type == NGHTTP2_HEADERS &&
		f->headers.cat == NGHTTP2_HCAT_REQUEST)
		exchange_written(x);
	if (to == HTTP_CLIENT && (f->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
		(f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA))
		exchange_told(x);
	return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
	struct exchange *x = exchange_of(s, id);

	if (x)
		exchange_closed(x, side_of(arg, s), code);
	return 0;
}

/* ---- sessions ---- */

static nghttp2_session_callbacks *callbacks(void)
{
	nghttp2_session_callbacks *c;

	if (nghttp2_session_callbacks_new(&c) < 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		c, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(
		c, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
		c, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
	return c;
}

/* What is not named here has the default of the library. */
static nghttp2_option *options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o) < 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
	nghttp2_option_set_max_send_header_block_length(o, 4u * HTTP_HEAD_MAX);
	nghttp2_option_set_max_continuations(o, 8);
	nghttp2_option_set_max_settings(o, 32);
	nghttp2_option_set_max_outbound_ack(o, 1000);
	nghttp2_option_set_stream_reset_rate_limit(
		o, H2_RESETS_MAX, H2_RESETS_PER_S);
	return o;
}

static int settings(struct h2 *h, enum http_side i)
{
	const nghttp2_settings_entry v[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
			i == HTTP_SERVER ? MAX(h->window / 4, STREAM_WINDOW)
					 : STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
		/* Order is the guest's business; the tree is not kept. */
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
		i == HTTP_SERVER
			? (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH,
				  0}
			: (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
				  H2_STREAMS_MAX},
	};
	int32_t all =
		(int32_t)(i == HTTP_SERVER ? h->window
					   : MIN(h->window, 256u * 1024u));
	int r = nghttp2_submit_settings(
		h->session[i], NGHTTP2_FLAG_NONE, v, ARRAY_SIZE(v));

	return r ? r
		 : nghttp2_session_set_local_window_size(
			   h->session[i], NGHTTP2_FLAG_NONE, 0, all);
}

static int session_new(struct h2 *h, enum http_side i)
{
	nghttp2_session_callbacks *c = callbacks();
	nghttp2_option *o = options();
	int r = NGHTTP2_ERR_NOMEM;

	if (c && o)
		r = i == HTTP_CLIENT
			? nghttp2_session_server_new2(&h->session[i], c, h, o)
			: nghttp2_session_client_new2(&h->session[i], c, h, o);
	nghttp2_session_callbacks_del(c);
	nghttp2_option_del(o);
	r = r ? r : settings(h, i);
	return r < 0 ? -ENOMEM : 0;
}

int h2_server(struct h2 *h)
{
	return h->session[HTTP_SERVER] ? 0 : session_new(h, HTTP_SERVER);
}

struct h2 *h2_new(const struct h2_ops *ops, void *arg, uint32_t window)
{
	struct h2 *h = xnew(struct h2);

	h->ops = ops;
	h->arg = arg;
	h->window = window;
	list_init(&h->exchanges);
	for (size_t i = 0; i < 2; i++) {
		buf_init(&h->io.in[i], HTTP_PROXY_IN);
		buf_init(&h->io.out[i], HTTP_PROXY_OUT);
	}
	if (session_new(h, HTTP_CLIENT) == 0)
		return h;
	h2_free(h);
	return NULL;
}

void h2_free(struct h2 *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < 2; i++) {
		nghttp2_session_del(TAKE_PTR(h->session[i]));
		buf_done(&h->io.in[i]);
		buf_done(&h->io.out[i]);
	}
	while (!list_empty(&h->exchanges))
		exchange_free(
			list_entry(h->exchanges.next, struct exchange, link));
	free(h);
}

bool h2_all(const struct h2 *h, bool (*fn)(void *arg, const struct asked *a),
	void *arg)
{
	list_for_each (it, &h->exchanges)
		if (!fn(arg, &list_entry(it, struct exchange, link)->asked))
			return false;
	return true;
}

/* ---- moving bytes ---- */

static void end(struct h2 *h)
{
	h->io.done = true;
	buf_done(&h->io.in[HTTP_CLIENT]);
	buf_done(&h->io.in[HTTP_SERVER]);
	buf_done(&h->io.out[HTTP_SERVER]);
}

static void lose_server(struct h2 *h)
{
	if (h->gone)
		return;
	h->gone = true;
	nghttp2_session_del(TAKE_PTR(h->session[HTTP_SERVER]));
	buf_done(&h->io.in[HTTP_SERVER]);
	buf_done(&h->io.out[HTTP_SERVER]);
	list_for_each_safe (it, &h->exchanges)
		exchange_orphaned(list_entry(it, struct exchange, link));
	goodbye(h);
}

/* The session can do no more; the reason is logged once. */
static void broken(struct h2 *h, enum http_side i, const char *why)
{
	if (i == HTTP_SERVER) {
		lose_server(h);
		return;
	}
	if (!h->leaving)
		h->ops->refuse(h->arg, 400, h->why ? h->why : why, NULL);
	end(h);
}

/* The guest's session ends with a word, see ends(). */
static void give_up(struct h2 *h, enum http_side i, const char *why)
{
	if (i == HTTP_SERVER) {
		lose_server(h);
		return;
	}
	if (!h->why)
		h->why = why;
	(void)nghttp2_session_terminate_session(
		h->session[i], NGHTTP2_ENHANCE_YOUR_CALM);
}

/*
 * Frames that cost work and carry nothing: PING, SETTINGS, PRIORITY, those of
 * unknown types, empty DATA. Windows are opened in proportion to what is sent.
 */
static bool flooded(struct h2 *h, enum http_side i, size_t n)
{
	h->taken[i] += n;
	return h->taken[i] > H2_NOISE_MAX + 8 * h->useful;
}

/* While much waits to be written for a side, nothing more is taken in. */
static bool feed(struct h2 *h, enum http_side i)
{
	struct buf *in = &h->io.in[i];
	size_t n = MIN(buf_len(in), (size_t)FEED);
	ssize_t r;

	if (h->io.done || !h->session[i] || !n ||
		(i == HTTP_CLIENT && h->why) ||
		buf_len(&h->io.out[HTTP_CLIENT]) >= HTTP_PROXY_HIGH ||
		buf_len(&h->io.out[HTTP_SERVER]) >= HTTP_PROXY_HIGH)
		return false;
	r = nghttp2_session_mem_recv(h->session[i], buf_head(in), n);
	if (r < 0)
		give_up(h, i, nghttp2_strerror((int)r));
	else if (flooded(h, i, (size_t)r))
		give_up(h, i, "too many HTTP/2 frames without content");
	else
		buf_consume(in, (size_t)r);
	return true;
}

static bool drain(struct h2 *h, enum http_side i)
{
	struct buf *out = &h->io.out[i];
	bool moved = false;
	const uint8_t *p;
	ssize_t r = 1;

	while (!h->io.done && h->session[i] && r > 0 &&
		buf_len(out) < HTTP_PROXY_HIGH) {
		r = nghttp2_session_mem_send(h->session[i], &p);
		if (r <= 0)
			break;
		if (buf_put(out, p, (size_t)r) < 0)
			r = NGHTTP2_ERR_NOMEM;
		/* nghttp2 has done with its buffer; it may hold a secret. */
		else if (i == HTTP_SERVER && h->n_secrets)
			explicit_bzero((uint8_t *)(uintptr_t)p, (size_t)r);
		moved = true;
	}
	if (r < 0)
		broken(h, i, nghttp2_strerror((int)r));
	return moved;
}

static bool over(const struct h2 *h, enum http_side i)
{
	nghttp2_session *s = h->session[i];

	return s && !nghttp2_session_want_read(s) &&
		!nghttp2_session_want_write(s);
}

/* HTTP/2 knows no half of a connection. */
static bool ends(struct h2 *h)
{
	const bool *eof = h->io.eof;

	if (h->io.done)
		return false;
	if (over(h, HTTP_CLIENT)) {
		broken(h, HTTP_CLIENT, "broken HTTP/2");
		return true;
	}
	if (eof[HTTP_CLIENT] && !buf_len(&h->io.in[HTTP_CLIENT])) {
		end(h);
		return true;
	}
	if (h->gone ||
		!(over(h, HTTP_SERVER) ||
			(eof[HTTP_SERVER] && !buf_len(&h->io.in[HTTP_SERVER]))))
		return false;
	lose_server(h);
	return true;
}

void h2_step(struct h2 *h)
{
	bool moved = true;

	while (moved && !h->io.done) {
		moved = feed(h, HTTP_CLIENT);
		moved = feed(h, HTTP_SERVER) || moved;
		moved = drain(h, HTTP_SERVER) || moved;
		moved = drain(h, HTTP_CLIENT) || moved;
		h->decoded = 0;
		moved = ends(h) || moved;
	}
	h->io.busy = h->n > 0;
}
