/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP messages: the first byte says whether it is a request or what a response
 * answers, the second in what pieces it arrives. However it is cut, the outcome
 * is the same; what was accepted is written again, read again, and says the
 * same.
 */
#include "http/http.h"

#include <assert.h>
#include <string.h>

static void init(struct http_parser *p, uint8_t kind)
{
	http_parser_init(p, kind & 1 ? HTTP_RESPONSE : HTTP_REQUEST);
	p->to_head = kind & 2;
	p->to_connect = kind & 4;
}

static bool span_ok(const struct http_parser *p, struct http_span s)
{
	return (size_t)s.off + s.len <= p->head.size;
}

static void check_spans(const struct http_parser *p)
{
	const struct http_head *h = &p->head;

	assert(span_ok(p, h->method) && span_ok(p, h->target));
	assert(span_ok(p, h->authority) && span_ok(p, h->reason));
	for (size_t i = 0; i < h->n_fields; i++) {
		const char *v = http_ptr(h, h->fields[i].value);

		assert(span_ok(p, h->fields[i].name));
		assert(span_ok(p, h->fields[i].value));
		assert(h->fields[i].name.len > 0);
		for (size_t k = 0; k < h->fields[i].value.len; k++)
			assert(v[k] != '\r' && v[k] != '\n' && v[k] != '\0');
	}
}

/* Methods, fields and body framing again as bytes. */
static void rewrite(const struct http_parser *p, uint8_t kind)
{
	const struct http_head *h = &p->head;
	struct http_parser again;
	struct buf b;
	int r;

	buf_init(&b, 4 * HTTP_HEAD_MAX);
	if (p->kind == HTTP_REQUEST) {
		_cleanup_free_ char *method =
			xstrndup(http_ptr(h, h->method), h->method.len);
		_cleanup_free_ char *target =
			xstrndup(http_ptr(h, h->target), h->target.len);

		r = http_put_request(&b, method, target);
	} else {
		r = http_put_status(&b, h->status);
	}
	assert(r == 0);
	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *f = &h->fields[i];

		r = http_put_field_n(&b, http_ptr(h, f->name), f->name.len,
			http_ptr(h, f->value), f->value.len);
		assert(r == 0);
	}
	(void)http_put_end(&b);
	if (buf_len(&b) <= HTTP_HEAD_MAX && h->minor == 1) {
		init(&again, kind);
		r = http_parse(&again, buf_head(&b), buf_len(&b));
		assert(r == 1);
		assert(again.head.framing == h->framing);
		assert(again.head.length == h->length);
		assert(again.head.keep_alive == h->keep_alive);
		assert(again.head.n_fields == h->n_fields);
	}
	buf_done(&b);
}

static void use_head(struct http_parser *p, uint8_t kind)
{
	char small[64];

	check_spans(p);
	(void)http_has_token(&p->head, "connection", "close");
	for (size_t i = 0; i < p->head.n_fields; i++)
		(void)http_hop_by_hop(&p->head, &p->head.fields[i]);
	if (p->kind == HTTP_REQUEST) {
		if (http_path(&p->head, small, sizeof(small)) == 0)
			assert(small[0] == '/' && !strstr(small, "/../"));
		(void)http_query(&p->head, "a", small, sizeof(small));
		(void)http_query_only(&p->head, NULL, 0);
	}
	rewrite(p, kind);
}

struct outcome {
	int r;
	size_t used;
	size_t len;
	uint32_t sum; /* of the body's bytes */
};

static struct outcome read_body(
	const struct http_head *h, const uint8_t *p, size_t len, size_t step)
{
	struct outcome o = {0};
	struct http_body b;
	const uint8_t *data;
	size_t used, n, got;

	http_body_init(&b, h);
	while (o.r == 0) {
		n = MIN(step, len - o.used);
		o.r = http_body_feed(&b, p + o.used, n, &used, &data, &got);
		if (o.r < 0)
			break;
		assert(used <= n && got <= n);
		assert(got == 0 ||
			(data >= p + o.used && data + got <= p + o.used + n));
		for (size_t i = 0; i < got; i++)
			o.sum = o.sum * 31 + data[i];
		o.len += got;
		o.used += used;
		if (o.r == 0 && o.used == len)
			break;
	}
	return o;
}

static void use_body(
	const struct http_head *h, const uint8_t *p, size_t len, size_t step)
{
	struct outcome a = read_body(h, p, len, MAX(len, (size_t)1));
	struct outcome b = read_body(h, p, len, step);

	assert(a.r == b.r);
	if (a.r >= 0)
		assert(a.len == b.len && a.sum == b.sum && a.used == b.used);
	if (h->framing == HTTP_BODY_LENGTH)
		assert(a.len <= h->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_parser whole, parts;
	size_t step, at = 0;
	int r, s = 0;
	uint8_t kind;

	if (size < 2)
		return 0;
	kind = data[0];
	step = 1u + data[1];
	data += 2;
	size -= 2;
	init(&whole, kind);
	init(&parts, kind);
	r = http_parse(&whole, data, size);
	while (s == 0 && at < size) {
		at = MIN(at + step, size);
		s = http_parse(&parts, data, at);
	}
	assert(r == s);
	if (r < 0) {
		assert(whole.why && whole.status >= 400);
		assert(whole.status == parts.status);
	}
	if (r <= 0)
		return 0;
	assert(whole.head.size == parts.head.size && whole.head.size <= size);
	use_head(&whole, kind);
	use_body(&whole.head, data + whole.head.size, size - whole.head.size,
		step);
	return 0;
}
