/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include "http/chars.h"

#include <errno.h>
#include <string.h>

int http_refuse(struct http_parser *p, unsigned status, const char *why)
{
	p->status = status;
	p->why = why;
	return -EBADMSG;
}

void http_parser_init(struct http_parser *p, enum http_kind kind)
{
	/* The field table is large and written before it is read. */
	memset(p, 0, offsetof(struct http_parser, head.fields));
	p->kind = kind;
	p->head.framing = HTTP_BODY_NONE;
	p->head.length = 0;
	p->head.keep_alive = false;
	p->head.expect_continue = false;
	p->head.upgrade = false;
	p->head.size = 0;
}

static struct http_span span(size_t off, size_t len)
{
	return (struct http_span){(uint32_t)off, (uint32_t)len};
}

/* "HTTP/1.0" or "HTTP/1.1", nothing else (RFC 9112 section 2.3). */
static int parse_version(struct http_parser *p, const char *s, size_t len)
{
	if (len != 8 || memcmp(s, "HTTP/", 5) != 0)
		return http_refuse(p, 400, "malformed HTTP version");
	if (memcmp(s + 5, "1.1", 3) == 0)
		p->head.minor = 1;
	else if (memcmp(s + 5, "1.0", 3) == 0)
		p->head.minor = 0;
	else
		return http_refuse(p, 505, "unsupported HTTP version");
	return 0;
}

static int parse_request_line(struct http_parser *p, const char *s, size_t len)
{
	const char *sp1 = memchr(s, ' ', len);
	const char *sp2;
	size_t m;
	int r;

	if (!sp1)
		return http_refuse(p, 400, "malformed request line");
	m = (size_t)(sp1 - s);
	if (m == 0 || m > 32 || !http_all(s, m, HTTP_C_TOKEN))
		return http_refuse(p, 400, "malformed method");
	sp2 = memchr(sp1 + 1, ' ', len - m - 1);
	if (!sp2 || sp2 == sp1 + 1)
		return http_refuse(p, 400, "malformed request line");
	/* A second space would be part of the version: refused there. */
	r = parse_version(p, sp2 + 1, len - (size_t)(sp2 + 1 - s));
	if (r < 0)
		return r;
	p->head.method = span(p->line, m);
	p->head.target = span(p->line + m + 1, (size_t)(sp2 - sp1 - 1));
	return http_check_target(p);
}

static int parse_status_line(struct http_parser *p, const char *s, size_t len)
{
	int r;

	if (len < 12 || s[8] != ' ')
		return http_refuse(p, 502, "malformed status line");
	r = parse_version(p, s, 8);
	if (r < 0)
		return r;
	for (size_t i = 9; i < 12; i++)
		if (s[i] < '0' || s[i] > '9')
			return http_refuse(p, 502, "malformed status code");
	p->head.status = (unsigned)(s[9] - '0') * 100 +
		(unsigned)(s[10] - '0') * 10 + (unsigned)(s[11] - '0');
	if (p->head.status < 100 || p->head.status > 599)
		return http_refuse(p, 502, "status code out of range");
	if (len == 12)
		return 0; /* many servers leave the last space out */
	if (s[12] != ' ')
		return http_refuse(p, 502, "malformed status line");
	p->head.reason = span(p->line + 13, len - 13);
	return 0;
}

static enum http_known known_field(const char *name, size_t len)
{
	static const struct {
		const char *name;
		size_t len;
		enum http_known known;
	} table[] = {
		{"te", 2, HTTP_F_TE},
		{"host", 4, HTTP_F_HOST},
		{"expect", 6, HTTP_F_EXPECT},
		{"trailer", 7, HTTP_F_TRAILER},
		{"upgrade", 7, HTTP_F_UPGRADE},
		{"connection", 10, HTTP_F_CONNECTION},
		{"keep-alive", 10, HTTP_F_KEEP_ALIVE},
		{"content-length", 14, HTTP_F_CONTENT_LENGTH},
		{"proxy-connection", 16, HTTP_F_PROXY_CONNECTION},
		{"transfer-encoding", 17, HTTP_F_TRANSFER_ENCODING},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (len == table[i].len && http_eq_ci(name, table[i].name, len))
			return table[i].known;
	return HTTP_F_OTHER;
}

static bool is_ows(char c)
{
	return c == ' ' || c == '\t';
}

/* field-name ":" OWS field-value OWS (RFC 9112 section 5). */
static int parse_field(struct http_parser *p, const char *s, size_t len)
{
	const char *colon;
	struct http_field *f;
	size_t n, from, to;

	if (is_ows(s[0]))
		return http_refuse(p, 400, "line folding or leading space");
	colon = memchr(s, ':', len);
	if (!colon || colon == s)
		return http_refuse(p, 400, "field without a name");
	n = (size_t)(colon - s);
	if (!http_all(s, n, HTTP_C_TOKEN))
		return http_refuse(p, 400, "malformed field name");
	if (p->head.n_fields == HTTP_FIELDS_MAX)
		return http_refuse(p, 431, "too many fields");
	from = n + 1;
	to = len;
	while (from < to && is_ows(s[from]))
		from++;
	while (to > from && is_ows(s[to - 1]))
		to--;
	f = &p->head.fields[p->head.n_fields++];
	f->name = span(p->line, n);
	f->value = span(p->line + from, to - from);
	f->known = known_field(s, n);
	return 0;
}

/* One line without its CRLF. 1: that was the empty line that ends the head. */
static int parse_line(struct http_parser *p, const char *s, size_t len)
{
	int r;

	if (!p->have_start) {
		/* RFC 9112 section 2.2: one empty line before a request. */
		if (len == 0 && p->kind == HTTP_REQUEST && !p->skipped) {
			p->skipped = true;
			return 0;
		}
		p->have_start = true;
		if (p->kind == HTTP_REQUEST)
			return parse_request_line(p, s, len);
		return parse_status_line(p, s, len);
	}
	if (len > 0)
		return parse_field(p, s, len);
	p->head.size = p->pos;
	r = http_finish(p);
	return r < 0 ? r : 1;
}

/* First byte from p->pos on that is not plain line content. */
static uint32_t scan_line(
	const struct http_parser *p, const uint8_t *d, uint32_t len)
{
	uint32_t i = p->pos;

	while (i < len && http_is(d[i], HTTP_C_VALUE))
		i++;
	return i;
}

int http_parse(struct http_parser *p, const void *data, size_t len)
{
	const uint8_t *d = (const uint8_t *)data;
	uint32_t n = (uint32_t)MIN(len, HTTP_HEAD_MAX);
	uint32_t end;
	int r;

	p->head.base = (const char *)data;
	while (p->pos < n) {
		end = scan_line(p, d, n);
		p->pos = end;
		if (end == n)
			break;
		if (d[end] != '\r')
			return http_refuse(p, 400, "control byte in the head");
		if (end + 1 == n)
			break; /* look at this CR again with its LF */
		if (d[end + 1] != '\n')
			return http_refuse(p, 400, "bare carriage return");
		p->pos = end + 2;
		r = parse_line(p, (const char *)d + p->line, end - p->line);
		if (r != 0)
			return r;
		p->line = p->pos;
	}
	if (n == HTTP_HEAD_MAX)
		return http_refuse(p, 431, "head too large");
	return 0;
}

bool http_span_is(
	const struct http_head *h, struct http_span s, const char *text)
{
	return s.len == strlen(text) &&
		memcmp(http_ptr(h, s), text, s.len) == 0;
}

bool http_span_is_ci(
	const struct http_head *h, struct http_span s, const char *text)
{
	return s.len == strlen(text) && http_eq_ci(http_ptr(h, s), text, s.len);
}

const struct http_field *http_find(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (http_span_is_ci(h, h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}
