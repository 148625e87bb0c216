/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection through the HTTP/2 proxy, in pieces as in fuzz_proxy.c: a byte
 * (whose turn, how many; none: it ends) and that many bytes. Whatever comes,
 * what the server gets are whole frames, and requests that were asked about,
 * with nothing in them that another parser could read in another way.
 */
#include "gate/h2.h"

#include <assert.h>
#include <string.h>

#define MAGIC 24u
#define FRAME_MAX (16384u + 9u)

struct world {
	nghttp2_hd_inflater *inflater;
	struct buf got; /* for the server, not looked at yet */
	bool magic;
	bool in_head;
	unsigned asked, passed;
};

static bool is(const char *p, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(p, text, len) == 0;
}

static bool on_request(void *arg, const struct request *r,
	struct asked *ret_asked, struct h2_reply *ret)
{
	struct world *w = arg;

	assert(r->method_len && r->target_len && r->authority_len);
	if (is(r->authority, r->authority_len, "h.test") &&
		(r->target_len < 2 || r->target[1] != 'n')) {
		w->asked++;
		return true;
	}
	ret->status = 403;
	(void)buf_put(&ret->body, "NO\n", 3);
	return false;
}

static int on_value(void *arg, const char *field, size_t field_len,
	const char *value, size_t len, struct buf *out)
{
	if (len != 4 || memcmp(value, "SWAP", 4) != 0)
		return 0;
	return buf_put(out, "real", 4) < 0 ? -1 : 1;
}

static void on_refuse(
	void *arg, uint16_t status, const char *why, struct h2_reply *ret)
{
	assert(status >= 400 && status < 600 && why);
	if (!ret)
		return;
	ret->status = status;
	(void)buf_putf(&ret->body, "%s\n", why);
}

static const struct h2_ops ops = {on_request, on_value, on_refuse};

static void check_field(struct world *w, const nghttp2_nv *nv)
{
	static const char *const never[] = {"host", "connection", "upgrade",
		"transfer-encoding", "keep-alive", "proxy-connection"};
	const char *name = (const char *)nv->name;
	const char *value = (const char *)nv->value;

	for (size_t i = 0; i < nv->namelen; i++)
		assert(name[i] > ' ' && name[i] < 127 &&
			!(name[i] >= 'A' && name[i] <= 'Z') &&
			(i == 0 || name[i] != ':'));
	for (size_t i = 0; i < nv->valuelen; i++)
		assert(value[i] != '\r' && value[i] != '\n' && value[i]);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		assert(!is(name, nv->namelen, never[i]));
	if (is(name, nv->namelen, ":authority")) {
		assert(is(value, nv->valuelen, "h.test"));
		w->passed++;
	}
	if (is(name, nv->namelen, ":path"))
		assert(nv->valuelen == 1 || value[1] != 'n');
}

static void check_block(struct world *w, const uint8_t *p, size_t len, bool end)
{
	int flags = 0;

	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		nghttp2_nv nv;
		ssize_t n = nghttp2_hd_inflate_hd2(
			w->inflater, &nv, &flags, p, len, end);

		assert(n >= 0);
		p += n;
		len -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			check_field(w, &nv);
		else if (!len && !end)
			return;
	}
	(void)nghttp2_hd_inflate_end_headers(w->inflater);
	/* A request has one authority, and every one was asked about. */
	assert(w->passed <= w->asked);
}

static size_t check_frame(struct world *w, const uint8_t *p, size_t len)
{
	size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
	bool head = p[3] == NGHTTP2_HEADERS || p[3] == NGHTTP2_CONTINUATION;

	assert(n + 9 <= FRAME_MAX && p[3] <= NGHTTP2_CONTINUATION &&
		p[3] != NGHTTP2_PUSH_PROMISE);
	if (len < n + 9)
		return 0;
	assert(w->in_head == (p[3] == NGHTTP2_CONTINUATION));
	if (head) {
		assert(!(p[4] & (NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_PRIORITY)));
		w->in_head = !(p[4] & NGHTTP2_FLAG_END_HEADERS);
		check_block(w, p + 9, n, !w->in_head);
	}
	return n + 9;
}

static void check_server(struct world *w, struct buf *out)
{
	size_t n = 1;

	assert(buf_put(&w->got, buf_head(out), buf_len(out)) == 0);
	buf_clear(out);
	if (!w->magic && buf_len(&w->got) >= MAGIC) {
		assert(memcmp(buf_head(&w->got), NGHTTP2_CLIENT_MAGIC, MAGIC) ==
			0);
		buf_consume(&w->got, MAGIC);
		w->magic = true;
	}
	while (w->magic && n && buf_len(&w->got) >= 9) {
		n = check_frame(w, buf_head(&w->got), buf_len(&w->got));
		buf_consume(&w->got, n);
	}
}

static void check_bounds(const struct h2 *h)
{
	size_t held = 0;

	assert(h->n <= H2_EXCHANGES_MAX && h->held <= H2_HEADS_MAX);
	for (size_t i = 0; i < 2; i++)
		assert(buf_len(&h->io.out[i]) <= HTTP_PROXY_OUT);
	list_for_each (it, &h->exchanges) {
		const struct exchange *x =
			list_entry(it, struct exchange, link);

		assert(x->open[HTTP_CLIENT] || x->open[HTTP_SERVER]);
		held += buf_len(&x->body[0]) + buf_len(&x->body[1]);
	}
	assert(held <= 2u * H2_WINDOW + h->n * 2048u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.magic = false};
	struct h2 *h = h2_new(&ops, &w, H2_WINDOW_SMALL);

	buf_init(&w.got, 4u * HTTP_PROXY_OUT);
	assert(h && nghttp2_hd_inflate_new(&w.inflater) == 0);
	while (size > 0 && !h->io.done) {
		enum http_side s = data[0] & 1;
		size_t n = MIN((size_t)(data[0] >> 1), size - 1);

		n = MIN(n, http_proxy_room(&h->io, s));
		if (n)
			(void)buf_put(&h->io.in[s], data + 1, n);
		else
			h->io.eof[s] = true;
		data += 1 + n;
		size -= 1 + n;
		h2_step(h);
		check_bounds(h);
		check_server(&w, &h->io.out[HTTP_SERVER]);
		buf_clear(&h->io.out[HTTP_CLIENT]);
	}
	h2_free(h);
	nghttp2_hd_inflate_del(w.inflater);
	buf_done(&w.got);
	return 0;
}
