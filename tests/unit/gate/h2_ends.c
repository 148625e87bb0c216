/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_ends.h"

#include <assert.h>
#include <string.h>

#define FIELDS 32u

bool heard(const struct end *end, const char *line)
{
	return memmem(buf_head(&end->log), buf_len(&end->log), line,
		       strlen(line)) != NULL;
}

/* ---- an end ---- */

static int on_header(nghttp2_session *s, const nghttp2_frame *f,
	const uint8_t *name, size_t name_len, const uint8_t *value, size_t len,
	uint8_t flags, void *arg)
{
	struct end *end = arg;

	return buf_putf(&end->log, "%d %.*s: %.*s\n", f->hd.stream_id,
		(int)name_len, name, (int)MIN(len, (size_t)200), value);
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id,
	const uint8_t *p, size_t len, void *arg)
{
	struct end *end = arg;

	for (size_t i = 0; i < len; i++)
		assert(p[i] == 'x' || buf_put(&end->log, p + i, 1) == 0);
	end->got += len;
	return end->eats ? nghttp2_session_consume(s, id, len) : 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
	struct end *end = arg;
	bool last = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

	end->newest = MAX(end->newest, f->hd.stream_id);
	if ((f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) &&
		last)
		(void)buf_putf(&end->log, "%d end\n", f->hd.stream_id);
	if (f->hd.type == NGHTTP2_RST_STREAM)
		(void)buf_putf(&end->log, "%d reset %u\n", f->hd.stream_id,
			f->rst_stream.error_code);
	if (f->hd.type == NGHTTP2_GOAWAY)
		(void)buf_putf(&end->log, "goaway %u\n", f->goaway.error_code);
	return 0;
}

static ssize_t on_read(nghttp2_session *s, int32_t id, uint8_t *dst, size_t len,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct piece *p = source->ptr;
	size_t n = MIN(len, p->left);
	const char *colon = p->trailer ? strchr(p->trailer, ':') : NULL;

	if (n == 0 && p->hold)
		return NGHTTP2_ERR_DEFERRED;
	memset(dst, 'x', n);
	p->left -= n;
	if (p->left || p->hold)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (colon) {
		nghttp2_nv nv = {.name = (uint8_t *)(uintptr_t)p->trailer,
			.namelen = (size_t)(colon - p->trailer),
			.value = (uint8_t *)(uintptr_t)colon + 2,
			.valuelen = strlen(colon + 2)};

		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		assert(nghttp2_submit_trailer(s, id, &nv, 1) == 0);
	}
	return (ssize_t)n;
}

static void end_open(struct end *end, bool server)
{
	nghttp2_session_callbacks *c;
	nghttp2_option *o;

	buf_init(&end->log, 1u << 22);
	end->eats = true;
	assert(nghttp2_session_callbacks_new(&c) == 0);
	assert(nghttp2_option_new(&o) == 0);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_http_messaging(o, !server);
	nghttp2_option_set_max_send_header_block_length(o, 1u << 20);
	nghttp2_session_callbacks_set_on_header_callback(c, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
	assert((server ? nghttp2_session_server_new2
		       : nghttp2_session_client_new2)(&end->s, c, end, o) == 0);
	nghttp2_session_callbacks_del(c);
	nghttp2_option_del(o);
	assert(nghttp2_submit_settings(end->s, 0, NULL, 0) == 0);
}

static size_t fields_of(const char *const *fields, nghttp2_nv *nv)
{
	size_t n = 0;

	for (; fields[n]; n++) {
		const char *colon = strchr(fields[n] + 1, ':');

		assert(n < FIELDS && colon);
		nv[n] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[n],
			.namelen = (size_t)(colon - fields[n]),
			.value = (uint8_t *)(uintptr_t)colon + 2,
			.valuelen = strlen(colon + 2),
			/* As it is, capitals too. */
			.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME};
	}
	return n;
}

static nghttp2_data_provider body(
	struct end *end, int32_t id, size_t size, const char *trailer)
{
	struct piece *p = &end->body[(uint32_t)id / 2 % BODIES];

	p->left = size;
	p->trailer = trailer;
	return (nghttp2_data_provider){
		.source = {.ptr = p}, .read_callback = on_read};
}

int32_t ends_ask(struct ends *e, const char *const *fields, size_t size,
	const char *trailer)
{
	nghttp2_nv nv[FIELDS];
	size_t n = fields_of(fields, nv);
	int32_t id = (int32_t)nghttp2_session_get_next_stream_id(e->guest.s);
	nghttp2_data_provider p = body(&e->guest, id, size, trailer);
	bool hold = e->guest.body[(uint32_t)id / 2 % BODIES].hold;

	assert(nghttp2_submit_request(e->guest.s, NULL, nv, n,
		       size || trailer || hold ? &p : NULL, NULL) == id);
	ends_run(e);
	return id;
}

void ends_answer(struct ends *e, int32_t id, const char *const *fields,
	size_t size, const char *trailer)
{
	nghttp2_nv nv[FIELDS];
	size_t n = fields_of(fields, nv);
	nghttp2_data_provider p = body(&e->server, id, size, trailer);

	assert(nghttp2_submit_response(e->server.s, id, nv, n,
		       size || trailer ? &p : NULL) == 0);
	ends_run(e);
}

void ends_more(
	struct ends *e, struct end *end, int32_t id, size_t size, bool last)
{
	struct piece *p = &end->body[(uint32_t)id / 2 % BODIES];

	p->left += size;
	p->hold = !last;
	assert(nghttp2_session_resume_data(end->s, id) == 0);
	ends_run(e);
}

void ends_interim(struct ends *e, int32_t id, const char *status)
{
	const char *const fields[] = {status, NULL};
	nghttp2_nv nv[1];

	assert(nghttp2_submit_headers(e->server.s, 0, id, NULL, nv,
		       fields_of(fields, nv), NULL) == 0);
	ends_run(e);
}

/* ---- what lies between ---- */

static bool on_request(void *arg, const struct request *r,
	struct asked *ret_asked, struct h2_reply *ret)
{
	struct ends *e = arg;

	e->asked++;
	assert(r->method_len && r->target_len && r->authority_len);
	if (r->target_len == 3 && memcmp(r->target, "/no", 3) == 0) {
		ret->status = 403;
		(void)buf_put(&ret->body, "NO", 2);
		return false;
	}
	ret_asked->method = xstrndup(r->method, r->method_len);
	ret_asked->path = xstrndup(r->target, r->target_len);
	return true;
}

static int on_value(void *arg, const char *field, size_t field_len,
	const char *value, size_t len, struct buf *out)
{
	if (len == 5 && memcmp(value, "BREAK", 5) == 0)
		return buf_put(out, "a\r\nb: c", 7) < 0 ? -1 : 1;
	if (field_len == 1 && *field == '?' && len == 5 &&
		memcmp(value, "/SWAP", 5) == 0)
		return buf_put(out, "/real", 5) < 0 ? -1 : 1;
	if (len != 4 || memcmp(value, "SWAP", 4) != 0)
		return 0;
	return buf_put(out, "real", 4) < 0 ? -1 : 1;
}

static void on_refuse(
	void *arg, uint16_t status, const char *why, struct h2_reply *ret)
{
	struct ends *e = arg;

	assert(why && status >= 400 && status < 600);
	e->refused++;
	e->why = why;
	if (!ret)
		return;
	ret->status = status;
	(void)buf_putf(&ret->body, "%s", why);
}

static const struct h2_ops ops = {on_request, on_value, on_refuse};

struct ends *ends_new(void)
{
	struct ends *e = xnew(struct ends);

	e->h = h2_new(&ops, e, H2_WINDOW);
	end_open(&e->guest, false);
	end_open(&e->server, true);
	return e;
}

void ends_free(struct ends *e)
{
	h2_free(e->h);
	nghttp2_session_del(e->guest.s);
	nghttp2_session_del(e->server.s);
	buf_done(&e->guest.log);
	buf_done(&e->server.log);
	free(e);
}

static bool send_in(struct ends *e, struct end *end, enum http_side side)
{
	size_t room = http_proxy_room(&e->h->io, side);
	const uint8_t *p;
	ssize_t n = 0;
	bool any = false;

	while (room > 32768 && !e->h->io.done) {
		n = nghttp2_session_mem_send(end->s, &p);
		assert(n >= 0);
		if (n == 0)
			break;
		any = true;
		for (ssize_t i = 0; i < n && !e->h->io.done;
			i += e->cut ? 1 : n) {
			assert(buf_put(&e->h->io.in[side], p + i,
				       e->cut ? 1 : (size_t)n) == 0);
			if (e->cut)
				h2_step(e->h);
		}
		room = http_proxy_room(&e->h->io, side);
	}
	return any;
}

static bool take_out(struct ends *e, struct end *end, enum http_side side)
{
	struct buf *b = &e->h->io.out[side];
	ssize_t r;

	if (!buf_len(b))
		return false;
	r = nghttp2_session_mem_recv(end->s, buf_head(b), buf_len(b));
	/* What leaves is correct, whatever came. */
	assert(r == (ssize_t)buf_len(b));
	buf_clear(b);
	return true;
}

void ends_run(struct ends *e)
{
	bool moved = true;

	while (moved) {
		moved = !e->h->io.done && send_in(e, &e->guest, HTTP_CLIENT);
		if (e->h->session[HTTP_SERVER])
			moved = send_in(e, &e->server, HTTP_SERVER) || moved;
		if (!e->h->io.done)
			h2_step(e->h);
		assert(buf_len(&e->h->io.out[0]) <= HTTP_PROXY_OUT);
		assert(buf_len(&e->h->io.out[1]) <= HTTP_PROXY_OUT);
		moved = take_out(e, &e->guest, HTTP_CLIENT) || moved;
		moved = take_out(e, &e->server, HTTP_SERVER) || moved;
	}
}
