/* SPDX-License-Identifier: Apache-2.0 */
/* Where a message ends and whether its connection lives on. */
#include "http/head.h"

#include "http/chars.h"

#include <errno.h>
#include <string.h>

/* Next element of a comma-separated list, trimmed. False at the end. */
static bool next_token(
	const char **s, size_t *len, const char **ret, size_t *ret_len)
{
	const char *comma;
	size_t n;

	if (*len == 0)
		return false;
	comma = memchr(*s, ',', *len);
	n = comma ? (size_t)(comma - *s) : *len;
	*ret = *s;
	*ret_len = n;
	*s += comma ? n + 1 : n;
	*len -= comma ? n + 1 : n;
	while (*ret_len > 0 && (**ret == ' ' || **ret == '\t')) {
		(*ret)++;
		(*ret_len)--;
	}
	while (*ret_len > 0 &&
		((*ret)[*ret_len - 1] == ' ' || (*ret)[*ret_len - 1] == '\t'))
		(*ret_len)--;
	return true;
}

static bool value_has(const struct http_head *h, const struct http_field *f,
	const char *token, size_t token_len)
{
	const char *s = http_ptr(h, f->value);
	size_t len = f->value.len;
	const char *t;
	size_t n;

	while (next_token(&s, &len, &t, &n))
		if (n == token_len && http_eq_ci(t, token, n))
			return true;
	return false;
}

bool http_has_token(
	const struct http_head *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (http_span_is_ci(h, h->fields[i].name, name) &&
			value_has(h, &h->fields[i], token, strlen(token)))
			return true;
	return false;
}

static bool connection_names(
	const struct http_head *h, const char *token, size_t len)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (h->fields[i].known == HTTP_F_CONNECTION &&
			value_has(h, &h->fields[i], token, len))
			return true;
	return false;
}

bool http_hop_by_hop(const struct http_head *h, const struct http_field *f)
{
	switch (f->known) {
	case HTTP_F_CONNECTION:
	case HTTP_F_CONTENT_LENGTH:
	case HTTP_F_TRANSFER_ENCODING:
	case HTTP_F_UPGRADE:
	case HTTP_F_KEEP_ALIVE:
	case HTTP_F_PROXY_CONNECTION:
	case HTTP_F_TE:
	case HTTP_F_TRAILER:
		return true;
	case HTTP_F_OTHER:
	case HTTP_F_HOST:
	case HTTP_F_EXPECT:
		break;
	}
	return connection_names(h, http_ptr(h, f->name), f->name.len);
}

/* 1*DIGIT, no sign, no list, below 2^63 (RFC 9110 section 8.6). */
static int parse_length(const char *s, size_t len, uint64_t *ret)
{
	uint64_t v = 0;

	if (len == 0 || len > 19)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	if (v > INT64_MAX)
		return -EINVAL;
	*ret = v;
	return 0;
}

struct seen {
	const struct http_field *host;
	const struct http_field *length;
	const struct http_field *coding;
	bool upgrade;
	uint64_t value;
};

static int see_field(
	struct http_parser *p, const struct http_field *f, struct seen *s)
{
	const struct http_head *h = &p->head;

	switch (f->known) {
	case HTTP_F_HOST:
		if (s->host)
			return http_refuse(p, 400, "more than one Host");
		s->host = f;
		return 0;
	case HTTP_F_CONTENT_LENGTH:
		if (s->length)
			return http_refuse(
				p, 400, "more than one Content-Length");
		if (parse_length(
			    http_ptr(h, f->value), f->value.len, &s->value) < 0)
			return http_refuse(p, 400, "malformed Content-Length");
		s->length = f;
		return 0;
	case HTTP_F_TRANSFER_ENCODING:
		if (s->coding)
			return http_refuse(
				p, 400, "more than one Transfer-Encoding");
		if (!http_span_is_ci(h, f->value, "chunked"))
			return http_refuse(
				p, 501, "transfer encoding other than chunked");
		s->coding = f;
		return 0;
	case HTTP_F_EXPECT:
		if (p->kind == HTTP_REQUEST &&
			!http_span_is_ci(h, f->value, "100-continue"))
			return http_refuse(p, 417, "unknown expectation");
		p->head.expect_continue = p->kind == HTTP_REQUEST;
		return 0;
	case HTTP_F_UPGRADE:
		s->upgrade = true;
		return 0;
	case HTTP_F_OTHER:
	case HTTP_F_CONNECTION:
	case HTTP_F_KEEP_ALIVE:
	case HTTP_F_PROXY_CONNECTION:
	case HTTP_F_TE:
	case HTTP_F_TRAILER:
		return 0;
	}
	return 0;
}

static int check_connection(struct http_parser *p, const struct seen *s)
{
	static const char *const never[] = {
		"content-length", "transfer-encoding", "host"};
	struct http_head *h = &p->head;

	/* Whoever honours such a list drops the framing of the message. */
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (connection_names(h, never[i], strlen(never[i])))
			return http_refuse(
				p, 400, "Connection names a field that frames");
	h->keep_alive = h->minor == 1 ? !connection_names(h, "close", 5)
				      : connection_names(h, "keep-alive", 10);
	h->upgrade = s->upgrade && h->minor == 1 &&
		connection_names(h, "upgrade", 7);
	return 0;
}

static int check_host(struct http_parser *p, const struct seen *s)
{
	struct http_head *h = &p->head;
	const char *v;

	if (!s->host) {
		if (h->minor == 1)
			return http_refuse(p, 400, "no Host");
		return 0;
	}
	v = http_ptr(h, s->host->value);
	if (s->host->value.len > 0 && !http_authority_ok(v, s->host->value.len))
		return http_refuse(p, 400, "malformed Host");
	if (h->form == HTTP_FORM_ORIGIN || h->form == HTTP_FORM_ASTERISK) {
		h->authority = s->host->value;
		return 0;
	}
	/* Two names for one request: which one was the rule checked for? */
	if (s->host->value.len != h->authority.len ||
		!http_eq_ci(v, http_ptr(h, h->authority), h->authority.len))
		return http_refuse(p, 400, "Host differs from the target");
	return 0;
}

static int frame_request(struct http_parser *p, const struct seen *s)
{
	struct http_head *h = &p->head;

	if (h->form == HTTP_FORM_AUTHORITY && (s->length || s->coding))
		return http_refuse(p, 400, "CONNECT with a body");
	if (s->coding) {
		h->framing = HTTP_BODY_CHUNKED;
	} else if (s->length) {
		h->framing = HTTP_BODY_LENGTH;
		h->length = s->value;
	}
	return check_host(p, s);
}

/* RFC 9112 section 6.3, rules 1, 2, 4, 6 and 8. */
static int frame_response(struct http_parser *p, const struct seen *s)
{
	struct http_head *h = &p->head;
	bool no_body = h->status < 200 || h->status == 204;

	if (no_body && (s->coding || s->value > 0))
		return http_refuse(p, 502, "body where there can be none");
	if (p->to_connect && h->status >= 200 && h->status < 300) {
		if (s->coding || s->value > 0)
			return http_refuse(
				p, 502, "CONNECT answer with a body");
		return 0;
	}
	if (no_body || h->status == 304 || p->to_head)
		return 0;
	if (s->coding) {
		h->framing = HTTP_BODY_CHUNKED;
	} else if (s->length) {
		h->framing = HTTP_BODY_LENGTH;
		h->length = s->value;
	} else {
		h->framing = HTTP_BODY_CLOSE;
		h->keep_alive = false;
	}
	return 0;
}

static int see_fields(struct http_parser *p, struct seen *s)
{
	int r;

	for (size_t i = 0; i < p->head.n_fields; i++) {
		r = see_field(p, &p->head.fields[i], s);
		if (r < 0)
			return r;
	}
	if (s->length && s->coding)
		return http_refuse(
			p, 400, "both Content-Length and Transfer-Encoding");
	if (s->coding && p->head.minor == 0)
		return http_refuse(p, 400, "Transfer-Encoding in HTTP/1.0");
	return 0;
}

int http_finish(struct http_parser *p)
{
	struct seen s = {0};
	int r = see_fields(p, &s);

	if (r == 0)
		r = check_connection(p, &s);
	if (r == 0)
		r = p->kind == HTTP_REQUEST ? frame_request(p, &s)
					    : frame_response(p, &s);
	/* A server's mistakes are a bad gateway's, not the client's. */
	if (r < 0 && p->kind == HTTP_RESPONSE)
		p->status = 502;
	return r;
}
