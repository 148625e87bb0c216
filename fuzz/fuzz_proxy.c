/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection through the HTTP/1.1 proxy: the first byte says in what pieces
 * it arrives and which side ends, then pairs of a byte (whose turn, how many)
 * and that many bytes. Whatever comes, what the server gets parses again as
 * requests, and nothing grows without bound.
 */
#include "http/proxy.h"

#include <assert.h>
#include <string.h>

struct world {
	struct http_parser *again; /* reads what the server gets */
	struct http_body body;
	struct buf got;
	bool in_body;
	bool raw;
};

static bool on_request(
	void *arg, const struct http_head *h, bool keep, struct buf *answer)
{
	struct http_span t = http_proxy_target(h);

	if (t.len < 2 || http_ptr(h, t)[1] != 'n')
		return true;
	(void)buf_put(answer, "HTTP/1.1 403 No\r\n\r\n", 19);
	return false;
}

static int on_value(void *arg, const struct http_head *h,
	const struct http_field *f, struct http_span v, struct buf *out)
{
	if (v.len != 4 || memcmp(http_ptr(h, v), "SWAP", 4) != 0)
		return 0;
	return buf_put(out, "real value", f ? 10 : 4) < 0 ? -1 : 1;
}

static void on_refuse(
	void *arg, unsigned status, const char *why, struct buf *answer)
{
	assert(status >= 400 && status < 600 && why);
	(void)buf_put(answer, "HTTP/1.1 400 No\r\n\r\n", 19);
}

static const struct http_proxy_ops ops = {on_request, on_value, on_refuse};

/* The same parser must read, in what was written, whole requests only. */
static void check_server(struct world *w)
{
	const uint8_t *data;
	size_t used, len;
	int r = 1;

	while (r == 1 && buf_len(&w->got)) {
		if (!w->in_body) {
			r = http_parse(
				w->again, buf_head(&w->got), buf_len(&w->got));
			assert(r >= 0);
			if (r == 0)
				return;
			http_body_init(&w->body, &w->again->head);
			buf_consume(&w->got, w->again->head.size);
			w->in_body = true;
		}
		r = http_body_feed(&w->body, buf_head(&w->got),
			buf_len(&w->got), &used, &data, &len);
		assert(r >= 0);
		buf_consume(&w->got, used);
		if (r == 1) {
			w->in_body = false;
			http_parser_init(w->again, HTTP_REQUEST);
		} else if (used) {
			r = 1;
		}
	}
}

static void drain(struct http_proxy *p, struct world *w)
{
	struct buf *b = &p->io.out[HTTP_SERVER];

	if (!p->io.raw && !w->raw &&
		buf_put(&w->got, buf_head(b), buf_len(b)) == 0)
		check_server(w);
	w->raw = w->raw || p->io.raw;
	buf_clear(b);
	buf_clear(&p->io.out[HTTP_CLIENT]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_proxy *p = xnew(struct http_proxy);
	struct world w = {.again = xnew(struct http_parser)};

	buf_init(&w.got, 1u << 20);
	http_parser_init(w.again, HTTP_REQUEST);
	http_proxy_init(p, &ops, NULL);
	while (size > 0 && !p->io.done) {
		enum http_side s = data[0] & 1;
		size_t n = MIN((size_t)(data[0] >> 1) * 4u, size - 1);

		n = MIN(n, http_proxy_room(&p->io, s));
		if (n)
			(void)buf_put(&p->io.in[s], data + 1, n);
		else
			p->io.eof[s] = true;
		data += 1 + n;
		size -= 1 + n;
		http_proxy_step(p);
		assert(buf_len(&p->io.out[0]) <= HTTP_PROXY_OUT);
		assert(buf_len(&p->io.out[1]) <= HTTP_PROXY_OUT);
		drain(p, &w);
	}
	http_proxy_done(p);
	buf_done(&w.got);
	free(w.again);
	free(p);
	return 0;
}
