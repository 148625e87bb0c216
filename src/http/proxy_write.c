/* SPDX-License-Identifier: Apache-2.0 */
/* Heads and trailers for the other side of a proxy. */
#include "http/proxy.h"

#include "http/chars.h"

#include <errno.h>
#include <string.h>

#define TRY(call)                  \
	do {                       \
		int r_ = (call);   \
		if (r_ < 0)        \
			return r_; \
	} while (0)

static int put_text(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

struct http_span http_proxy_target(const struct http_head *h)
{
	struct http_span s = h->target;

	if (h->form == HTTP_FORM_ABSOLUTE) {
		s.off = h->authority.off + h->authority.len;
		s.len = h->target.off + h->target.len - s.off;
	}
	return s;
}

/* What another value may hold; it comes from a secret, so it is checked. */
static int put_value(struct http_proxy *p, const struct http_head *h,
	const struct http_field *f, struct http_span v, struct buf *out)
{
	unsigned class = f ? HTTP_C_VALUE : HTTP_C_TARGET;
	int r;

	buf_clear(&p->value);
	r = p->ops->value ? p->ops->value(p->arg, h, f, v, &p->value) : 0;
	if (r <= 0)
		return r < 0 ? r : buf_put(out, http_ptr(h, v), v.len);
	r = http_all((const char *)buf_head(&p->value), buf_len(&p->value),
		    class)
		? buf_put(out, buf_head(&p->value), buf_len(&p->value))
		: -EINVAL;
	if (p->value.cap)
		explicit_bzero(p->value.data, p->value.cap);
	buf_clear(&p->value);
	return r;
}

static int put_field(struct http_proxy *p, const struct http_head *h,
	const struct http_field *f, struct buf *out)
{
	TRY(buf_put(out, http_ptr(h, f->name), f->name.len));
	TRY(put_text(out, ": "));
	if (p)
		TRY(put_value(p, h, f, f->value, out));
	else
		TRY(buf_put(out, http_ptr(h, f->value), f->value.len));
	return put_text(out, "\r\n");
}

static int put_known(
	const struct http_head *h, enum http_known known, struct buf *out)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (h->fields[i].known == known)
			TRY(put_field(NULL, h, &h->fields[i], out));
	return 0;
}

static int put_framing(const struct http_head *h, bool chunked, struct buf *out)
{
	if (h->framing == HTTP_BODY_LENGTH)
		return http_put_length(out, h->length);
	if (!chunked)
		return 0;
	TRY(put_known(h, HTTP_F_TRAILER, out));
	return put_text(out, "Transfer-Encoding: chunked\r\n");
}

/* "/path", "?query" becomes "/?query", nothing becomes "/". */
static int put_target(
	struct http_proxy *p, const struct http_head *h, struct buf *out)
{
	struct http_span t = http_proxy_target(h);
	const char *s = http_ptr(h, t);

	if (h->form != HTTP_FORM_ASTERISK && (t.len == 0 || s[0] != '/'))
		TRY(put_text(out, "/"));
	return put_value(p, h, NULL, t, out);
}

static int put_request_connection(const struct http_head *h, struct buf *out)
{
	if (h->upgrade) {
		TRY(put_text(out, "Connection: Upgrade\r\n"));
		return put_known(h, HTTP_F_UPGRADE, out);
	}
	if (http_has_token(h, "te", "trailers"))
		TRY(put_text(out,
			h->keep_alive
				? "Connection: TE\r\nTE: trailers\r\n"
				: "Connection: TE, close\r\nTE: trailers\r\n"));
	else if (!h->keep_alive)
		TRY(put_text(out, "Connection: close\r\n"));
	else if (h->minor == 0)
		TRY(put_text(out, "Connection: keep-alive\r\n"));
	return 0;
}

/* What frames or routes was judged as it is and never gets another value. */
int http_proxy_put_request(struct http_proxy *p, const struct http_head *h)
{
	struct buf *out = &p->io.out[HTTP_SERVER];

	TRY(buf_put(out, http_ptr(h, h->method), h->method.len));
	TRY(put_text(out, " "));
	TRY(put_target(p, h, out));
	TRY(put_text(out, h->minor ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n"));
	for (size_t i = 0; i < h->n_fields; i++)
		if (!http_hop_by_hop(h, &h->fields[i]))
			TRY(put_field(
				h->fields[i].known == HTTP_F_OTHER ? p : NULL,
				h, &h->fields[i], out));
	TRY(put_request_connection(h, out));
	TRY(put_framing(h, h->framing == HTTP_BODY_CHUNKED, out));
	return http_put_end(out);
}

static int put_status(const struct http_head *h, struct buf *out)
{
	TRY(buf_putf(out, "HTTP/1.1 %03u ", h->status));
	TRY(buf_put(out, http_ptr(h, h->reason), h->reason.len));
	return put_text(out, "\r\n");
}

int http_proxy_put_response(struct http_proxy *p, const struct http_head *h)
{
	struct buf *out = &p->io.out[HTTP_CLIENT];
	bool final = h->status >= 200;

	TRY(put_status(h, out));
	for (size_t i = 0; i < h->n_fields; i++)
		if (!http_hop_by_hop(h, &h->fields[i]))
			TRY(put_field(NULL, h, &h->fields[i], out));
	if (h->status == 101) {
		TRY(put_text(out, "Connection: Upgrade\r\n"));
		TRY(put_known(h, HTTP_F_UPGRADE, out));
	}
	/* How long the body would be: the answer to HEAD, or a 304. */
	if (final && h->framing == HTTP_BODY_NONE)
		TRY(put_known(h, HTTP_F_CONTENT_LENGTH, out));
	if (final && !p->keep)
		TRY(put_text(out, "Connection: close\r\n"));
	else if (final && p->old_client)
		TRY(put_text(out, "Connection: keep-alive\r\n"));
	TRY(put_framing(h, p->out_chunked[HTTP_CLIENT], out));
	return http_put_end(out);
}

/* RFC 9110 section 6.5.1: what frames, routes or authorises is no trailer. */
bool http_trailer_ok(const char *name, size_t n)
{
	static const char *const never[] = {"host", "content-length",
		"transfer-encoding", "connection", "trailer", "te", "upgrade",
		"authorization", "proxy-authorization", "set-cookie", "cookie",
		"expect", "content-encoding", "content-type", "content-range",
		"keep-alive", "proxy-connection", "cache-control"};

	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (n == strlen(never[i]) && http_eq_ci(name, never[i], n))
			return false;
	return n > 0;
}

/* trailer holds checked lines, each with its CRLF (body.c). */
int http_proxy_put_end(struct buf *out, const struct buf *trailer)
{
	const char *s = (const char *)buf_head(trailer);
	size_t left = buf_len(trailer);

	TRY(put_text(out, "0\r\n"));
	while (left > 0) {
		const char *lf = memchr(s, '\n', left);
		size_t n = lf ? (size_t)(lf - s) + 1 : left;
		const char *colon = memchr(s, ':', n);

		if (lf && colon && http_trailer_ok(s, (size_t)(colon - s)))
			TRY(buf_put(out, s, n));
		s += n;
		left -= n;
	}
	return http_put_end(out);
}
