/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: RFC 9112 section 3.2, and the parts of an origin form. */
#include "http/head.h"

#include "http/chars.h"

#include <errno.h>
#include <string.h>

static bool port_ok(const char *s, size_t len)
{
	unsigned v = 0;

	if (len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	return v <= 65535;
}

bool http_authority_ok(const char *s, size_t len)
{
	const char *end;
	size_t host;

	if (len == 0 || len > 255 + 6 || !http_all(s, len, HTTP_C_HOST))
		return false;
	if (s[0] == '[') {
		end = memchr(s, ']', len);
		if (!end || end == s + 1)
			return false;
		for (const char *c = s + 1; c < end; c++)
			if (!http_is((uint8_t)*c, HTTP_C_HEX) && *c != ':' &&
				*c != '.')
				return false;
		host = (size_t)(end - s) + 1;
	} else {
		end = memchr(s, ':', len);
		host = end ? (size_t)(end - s) : len;
		if (host == 0 || memchr(s, '[', len) || memchr(s, ']', len))
			return false;
	}
	if (host == len)
		return true;
	return s[host] == ':' && port_ok(s + host + 1, len - host - 1);
}

/* "http://authority/path": the authority ends at '/', '?' or the end. */
static int absolute_form(struct http_parser *p, const char *t, size_t len)
{
	struct http_head *h = &p->head;
	size_t scheme = 0, n = 0;

	if (len > 7 && http_eq_ci(t, "http://", 7))
		scheme = 7;
	else if (len > 8 && http_eq_ci(t, "https://", 8))
		scheme = 8;
	else
		return http_refuse(p, 400, "malformed target");
	while (scheme + n < len && t[scheme + n] != '/' && t[scheme + n] != '?')
		n++;
	if (!http_authority_ok(t + scheme, n))
		return http_refuse(p, 400, "malformed authority in the target");
	h->form = HTTP_FORM_ABSOLUTE;
	h->authority.off = h->target.off + (uint32_t)scheme;
	h->authority.len = (uint32_t)n;
	return 0;
}

int http_check_target(struct http_parser *p)
{
	struct http_head *h = &p->head;
	const char *t = http_ptr(h, h->target);
	size_t len = h->target.len;

	if (!http_all(t, len, HTTP_C_TARGET))
		return http_refuse(p, 400, "malformed target");
	if (http_span_is(h, h->method, "CONNECT")) {
		if (!http_authority_ok(t, len))
			return http_refuse(p, 400, "malformed target");
		h->form = HTTP_FORM_AUTHORITY;
		h->authority = h->target;
		return 0;
	}
	if (t[0] == '/') {
		h->form = HTTP_FORM_ORIGIN;
		return 0;
	}
	if (len == 1 && t[0] == '*' && http_span_is(h, h->method, "OPTIONS")) {
		h->form = HTTP_FORM_ASTERISK;
		return 0;
	}
	return absolute_form(p, t, len);
}

/* The part of the target from its first '/' on; empty path for "http://h". */
static struct http_span local_part(const struct http_head *h)
{
	struct http_span s = h->target;

	if (h->form == HTTP_FORM_ABSOLUTE) {
		s.off = h->authority.off + h->authority.len;
		s.len = h->target.off + h->target.len - s.off;
	}
	return s;
}

/* Decodes one percent escape or plain byte at s[*i]; -EINVAL if broken. */
static int decode_byte(const char *s, size_t len, size_t *i)
{
	uint8_t c = (uint8_t)s[*i];

	if (c != '%') {
		(*i)++;
		return c;
	}
	if (len - *i < 3 || !http_is((uint8_t)s[*i + 1], HTTP_C_HEX) ||
		!http_is((uint8_t)s[*i + 2], HTTP_C_HEX))
		return -EINVAL;
	c = (uint8_t)(http_hex((uint8_t)s[*i + 1]) << 4 |
		http_hex((uint8_t)s[*i + 2]));
	*i += 3;
	return c < 0x20 || c == 0x7f ? -EINVAL : c;
}

static int decode(const char *s, size_t len, bool path, char *dst, size_t size)
{
	size_t i = 0, n = 0;
	bool escaped;
	int c;

	while (i < len) {
		escaped = s[i] == '%';
		c = decode_byte(s, len, &i);
		if (c < 0)
			return c;
		/* An encoded slash would move the segment borders. */
		if (path && escaped && (c == '/' || c == '\\'))
			return -EINVAL;
		if (n + 1 >= size)
			return -ENOBUFS;
		dst[n++] = (char)c;
	}
	if (size == 0)
		return -ENOBUFS;
	dst[n] = '\0';
	return 0;
}

static bool has_dot_segment(const char *path)
{
	const char *s = path;
	size_t n;

	while (*s) {
		s += *s == '/';
		n = strcspn(s, "/");
		if ((n == 1 && s[0] == '.') ||
			(n == 2 && s[0] == '.' && s[1] == '.'))
			return true;
		s += n;
	}
	return false;
}

int http_path(const struct http_head *h, char *dst, size_t size)
{
	struct http_span part = local_part(h);
	const char *s = http_ptr(h, part);
	const char *q = memchr(s, '?', part.len);
	size_t len = q ? (size_t)(q - s) : part.len;
	int r;

	if (h->form == HTTP_FORM_AUTHORITY || h->form == HTTP_FORM_ASTERISK)
		return -EINVAL;
	r = len == 0 ? decode("/", 1, true, dst, size)
		     : decode(s, len, true, dst, size);
	if (r < 0)
		return r;
	return has_dot_segment(dst) ? -EINVAL : 0;
}

/* The query without its '?'; NULL when there is none. */
static const char *query(const struct http_head *h, size_t *ret_len)
{
	struct http_span part = local_part(h);
	const char *s = http_ptr(h, part);
	const char *q = memchr(s, '?', part.len);

	if (!q)
		return NULL;
	*ret_len = part.len - (size_t)(q + 1 - s);
	return q + 1;
}

/* Cuts the next "name=value" off the query. */
static bool next_param(const char **q, size_t *left, struct http_span *name,
	struct http_span *value, const char *base)
{
	const char *amp, *eq;
	size_t len;

	if (!*q || *left == 0)
		return false;
	amp = memchr(*q, '&', *left);
	len = amp ? (size_t)(amp - *q) : *left;
	eq = memchr(*q, '=', len);
	name->off = (uint32_t)(*q - base);
	name->len = (uint32_t)(eq ? (size_t)(eq - *q) : len);
	value->off = name->off + name->len + (eq ? 1 : 0);
	value->len = (uint32_t)(len - name->len - (eq ? 1 : 0));
	*q += amp ? len + 1 : len;
	*left -= amp ? len + 1 : len;
	return true;
}

int http_query(
	const struct http_head *h, const char *name, char *dst, size_t size)
{
	struct http_span n, v, found = {0, 0};
	size_t left = 0;
	const char *q = query(h, &left);
	bool have = false;
	int r;

	while (next_param(&q, &left, &n, &v, h->base)) {
		if (!http_span_is(h, n, name))
			continue;
		if (have)
			return -EINVAL;
		have = true;
		found = v;
	}
	if (!have)
		return 0;
	r = decode(http_ptr(h, found), found.len, false, dst, size);
	return r < 0 ? r : 1;
}

int http_query_only(
	const struct http_head *h, const char *const *names, size_t n_names)
{
	struct http_span n, v;
	size_t left = 0, i;
	const char *q = query(h, &left);

	while (next_param(&q, &left, &n, &v, h->base)) {
		for (i = 0; i < n_names; i++)
			if (http_span_is(h, n, names[i]))
				break;
		if (i == n_names)
			return -EINVAL;
	}
	return 0;
}
