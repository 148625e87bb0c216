/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/h2_head.h"

#include "http/chars.h"
#include "http/proxy.h"
#include <errno.h>
#include <string.h>

#define FIELD_COST 32u /* RFC 9113 section 6.5.2 */

struct h2_head *h2_head_new(void)
{
	struct h2_head *h = xnew(struct h2_head);

	buf_init(&h->text, HTTP_HEAD_MAX);
	buf_init(&h->values, HTTP_HEAD_MAX);
	return h;
}

void h2_head_free(struct h2_head *h)
{
	if (!h)
		return;
	if (h->values.cap)
		explicit_bzero(h->values.data, h->values.cap);
	buf_done(&h->values);
	buf_done(&h->text);
	free(h);
}

void h2_head_refuse(struct h2_head *h, uint16_t status, const char *why)
{
	if (h->refused)
		return;
	h->refused = status;
	h->why = why;
}

static const char *text_at(const struct h2_head *h, uint32_t off)
{
	return (const char *)buf_head(&h->text) + off;
}

static bool named(
	const struct h2_head *h, const struct h2_field *f, const char *name)
{
	return f->name_len == strlen(name) &&
		memcmp(text_at(h, f->name), name, f->name_len) == 0;
}

static const struct h2_field *find(const struct h2_head *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (named(h, &h->field[i], name))
			return &h->field[i];
	return NULL;
}

void h2_head_add(struct h2_head *h, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len)
{
	size_t cost = buf_len(&h->text) + name_len + value_len +
		(h->n + 1) * FIELD_COST;
	struct h2_field *f = &h->field[h->n];

	if (h->refused)
		return;
	if (cost > HTTP_HEAD_MAX || h->n == HTTP_FIELDS_MAX) {
		h2_head_refuse(h, 431, "the head is too large");
		return;
	}
	*f = (struct h2_field){.name = (uint32_t)buf_len(&h->text),
		.name_len = (uint32_t)name_len,
		.value = (uint32_t)(buf_len(&h->text) + name_len),
		.value_len = (uint32_t)value_len};
	if (buf_put(&h->text, name, name_len) == 0 &&
		buf_put(&h->text, value, value_len) == 0)
		h->n++;
}

/* ---- requests ---- */

static struct http_span value_of(const struct h2_head *h, const char *name)
{
	const struct h2_field *f = find(h, name);

	return f ? (struct http_span){f->value, f->value_len}
		 : (struct http_span){0, 0};
}

static bool span_is(
	const struct h2_head *h, struct http_span s, const char *text)
{
	return s.len == strlen(text) &&
		memcmp(text_at(h, s.off), text, s.len) == 0;
}

static bool pseudo(const struct h2_head *h, const struct h2_field *f)
{
	return f->name_len && *text_at(h, f->name) == ':';
}

/* nghttp2 has seen to their order and that none comes twice. */
static void check_pseudo(struct h2_head *h)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct h2_field *f = &h->field[i];

		if (pseudo(h, f) && !named(h, f, ":method") &&
			!named(h, f, ":scheme") && !named(h, f, ":authority") &&
			!named(h, f, ":path"))
			h2_head_refuse(h, 400, "unknown pseudo field");
	}
}

/*
 * RFC 9113 section 8.3.1: a Host that names another host than :authority is
 * malformed. What is passed on names it once.
 */
static void one_authority(struct h2_head *h)
{
	struct http_span a = value_of(h, ":authority");
	const struct h2_field *host = find(h, "host");
	size_t at = host ? (size_t)(host - h->field) : 0;

	if (!a.len)
		h2_head_refuse(h, 400, "no :authority");
	if (!host)
		return;
	if (host->value_len != a.len ||
		memcmp(text_at(h, host->value), text_at(h, a.off), a.len) != 0)
		h2_head_refuse(h, 400, "Host and :authority differ");
	h->n--;
	memmove(&h->field[at], &h->field[at + 1],
		(h->n - at) * sizeof(h->field[0]));
	if (find(h, "host"))
		h2_head_refuse(h, 400, "more than one Host");
}

static void check_target(
	struct h2_head *h, struct http_span method, struct http_span path)
{
	if (span_is(h, method, "CONNECT"))
		h2_head_refuse(
			h, 405, "CONNECT is not carried: connect to the host");
	if (!span_is(h, value_of(h, ":scheme"), "https"))
		h2_head_refuse(h, 400, ":scheme is not https");
	if (!method.len ||
		!http_all(text_at(h, method.off), method.len, HTTP_C_TOKEN))
		h2_head_refuse(h, 400, "malformed method");
	if (span_is(h, path, "*") && span_is(h, method, "OPTIONS"))
		return;
	if (!path.len || *text_at(h, path.off) != '/' ||
		!http_all(text_at(h, path.off), path.len, HTTP_C_TARGET))
		h2_head_refuse(h, 400, "malformed :path");
}

int h2_head_request(struct h2_head *h, struct request *ret)
{
	struct http_span method = value_of(h, ":method");
	struct http_span path = value_of(h, ":path");
	struct http_span authority = value_of(h, ":authority");

	check_pseudo(h);
	one_authority(h);
	check_target(h, method, path);
	if (h->refused)
		return -EBADMSG;
	*ret = (struct request){
		.method = text_at(h, method.off),
		.method_len = method.len,
		.target = text_at(h, path.off),
		.target_len = path.len,
		.authority = text_at(h, authority.off),
		.authority_len = authority.len,
	};
	return 0;
}

/* ---- answers and trailers ---- */

unsigned h2_head_status(const struct h2_head *h)
{
	struct http_span s = value_of(h, ":status");
	const char *p = text_at(h, s.off);
	unsigned v = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		if (s.len != 3 || p[i] < '0' || p[i] > '9')
			return 0;
		v = v * 10 + (unsigned)(p[i] - '0');
	}
	return v >= 100 ? v : 0;
}

void h2_head_trailer(struct h2_head *h)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct h2_field *f = &h->field[i];

		if (!pseudo(h, f) &&
			http_trailer_ok(text_at(h, f->name), f->name_len))
			h->field[kept++] = *f;
	}
	h->n = kept;
}

/* ---- out ---- */

/* What names, frames or routes was judged as it is and stays so. */
static bool may_change(const struct h2_head *h, const struct h2_field *f)
{
	return named(h, f, ":path") ||
		(!pseudo(h, f) && !named(h, f, "content-length") &&
			!named(h, f, "te") && !named(h, f, "expect"));
}

/*
 * Room for all values is made at once: growing later would leave copies of a
 * secret behind.
 */
static int take_value(struct h2_head *h, struct h2_field *f, struct buf *value)
{
	size_t n = buf_len(value);
	/* It comes from a secret, so it is checked as well. */
	bool ok = http_all((const char *)buf_head(value), n,
		named(h, f, ":path") ? HTTP_C_TARGET : HTTP_C_VALUE);

	if (!ok || (!h->values.cap && !buf_reserve(&h->values, HTTP_HEAD_MAX)))
		return -EINVAL;
	f->value = (uint32_t)buf_len(&h->values);
	f->value_len = (uint32_t)n;
	f->changed = true;
	return buf_put(&h->values, buf_head(value), n);
}

int h2_head_values(struct h2_head *h, h2_value_fn *fn, void *arg)
{
	struct buf value;
	int r = 0, any = 0;

	buf_init(&value, HTTP_HEAD_MAX);
	for (size_t i = 0; i < h->n && r >= 0; i++) {
		struct h2_field *f = &h->field[i];
		bool path = named(h, f, ":path");

		if (!may_change(h, f))
			continue;
		r = fn(arg, path ? "?" : text_at(h, f->name),
			path ? 1 : f->name_len, text_at(h, f->value),
			f->value_len, &value);
		if (r <= 0)
			continue;
		any = 1;
		r = take_value(h, f, &value);
		explicit_bzero(value.data, value.cap);
		buf_clear(&value);
	}
	buf_done(&value);
	return r < 0 ? r : any;
}

size_t h2_head_nv(
	const struct h2_head *h, nghttp2_nv nv[HTTP_FIELDS_MAX], bool borrow)
{
	uint8_t flags = borrow
		? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
		: NGHTTP2_NV_FLAG_NONE;
	uint8_t *text = h->text.data + h->text.off;

	for (size_t i = 0; i < h->n; i++) {
		const struct h2_field *f = &h->field[i];

		nv[i] = (nghttp2_nv){.name = text + f->name,
			.value =
				(f->changed ? h->values.data : text) + f->value,
			.namelen = f->name_len,
			.valuelen = f->value_len,
			.flags = flags};
		/* Never in a table that outlives the request. */
		if (f->changed)
			nv[i].flags |= NGHTTP2_NV_FLAG_NO_INDEX;
	}
	return h->n;
}
