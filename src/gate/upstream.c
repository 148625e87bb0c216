/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/upstream.h"

#include "http/base64.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the setting ---- */

static bool has_user(const struct upstream *u)
{
	return u->user[0] != '\0';
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Percent-decoded; false when it is too long or holds a NUL. */
static bool decode(const char *p, size_t len, char *dst, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (uint8_t)p[i];

		if (c == '%' && i + 2 < len && hex(p[i + 1]) >= 0 &&
			hex(p[i + 2]) >= 0) {
			c = hex(p[i + 1]) * 16 + hex(p[i + 2]);
			i += 2;
		}
		if (c == 0 || n + 1 >= size)
			return false;
		dst[n++] = (char)c;
	}
	dst[n] = '\0';
	return true;
}

static bool parse_user(const char *p, size_t len, struct upstream *u)
{
	const char *colon = memchr(p, ':', len);
	size_t n = colon ? (size_t)(colon - p) : len;

	if (!decode(p, n, u->user, sizeof(u->user)) || n == 0)
		return false;
	return !colon ||
		decode(colon + 1, len - n - 1, u->password,
			sizeof(u->password));
}

static bool parse_port(const char *p, size_t len, uint16_t *ret)
{
	unsigned v = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = 10 * v + (unsigned)(p[i] - '0');
	}
	*ret = (uint16_t)v;
	return v > 0 && v <= UINT16_MAX;
}

static bool parse_host(const char *p, size_t len, struct upstream *u)
{
	const char *colon = memrchr(p, ':', len);

	if (colon && p[0] == '[' && colon[-1] != ']')
		colon = NULL; /* within the brackets */
	if (colon &&
		!parse_port(colon + 1, len - (size_t)(colon + 1 - p), &u->port))
		return false;
	if (colon)
		len = (size_t)(colon - p);
	return address_parse(p, len, &u->addr) == 0 ||
		name_parse(p, len, &u->name) == 0;
}

static int bad(struct err *err)
{
	return err_set(err, EINVAL,
		"the host's proxy setting is not understood; write "
		"http://HOST:PORT or socks5://HOST:PORT, or set "
		"COVE_PROXY=direct");
}

int upstream_parse(const char *url, const char *except, struct upstream *ret,
	struct err *err)
{
	static const struct {
		const char *scheme;
		enum upstream_kind kind;
		uint16_t port;
	} schemes[] = {{"http://", UPSTREAM_HTTP, 8080},
		{"socks5://", UPSTREAM_SOCKS5, 1080},
		{"socks5h://", UPSTREAM_SOCKS5, 1080}};
	struct upstream u = {.kind = UPSTREAM_NONE};
	const char *p = url, *at;
	size_t len;

	if (*url == '\0') {
		*ret = u;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i].scheme);

		if (strncmp(url, schemes[i].scheme, n) != 0)
			continue;
		u.kind = schemes[i].kind;
		u.port = schemes[i].port;
		p = url + n;
	}
	if (u.kind == UPSTREAM_NONE)
		return bad(err);
	len = strcspn(p, "/?#");
	at = memrchr(p, '@', len);
	if (at && !parse_user(p, (size_t)(at - p), &u))
		return bad(err);
	if (at) {
		len -= (size_t)(at + 1 - p);
		p = at + 1;
	}
	if (!parse_host(p, len, &u))
		return bad(err);
	u.except = except && *except ? xstrdup(except) : NULL;
	*ret = u;
	return 0;
}

void upstream_done(struct upstream *u)
{
	free(u->except);
	explicit_bzero(u, sizeof(*u));
}

/* One word of NO_PROXY: "*", a name and all below it, or an address. */
static bool excepts(const char *word, size_t len, const struct hostname *name,
	const struct address *addr)
{
	struct address a;
	struct hostname n;

	if (len == 1 && word[0] == '*')
		return true;
	if (!name)
		return address_parse(word, len, &a) == 0 &&
			memcmp(a.b, addr->b, sizeof(a.b)) == 0;
	if (len > 0 && word[0] == '.') {
		word++;
		len--;
	}
	if (name_parse(word, len, &n) < 0 || name->len < n.len)
		return false;
	return memcmp(name->s + name->len - n.len, n.s, n.len) == 0 &&
		(name->len == n.len || name->s[name->len - n.len - 1] == '.');
}

bool upstream_wants(const struct upstream *u, const struct hostname *name,
	const struct address *addr)
{
	if (u->kind == UPSTREAM_NONE)
		return false;
	for (const char *p = u->except; p && *p;) {
		size_t n = strcspn(p, ", ");

		if (excepts(p, n, name, addr))
			return false;
		p += n;
		p += strspn(p, ", ");
	}
	return true;
}

/* ---- the talk ---- */

static void say_connect(const struct upstream *u, const char *host,
	uint16_t port, struct buf *out)
{
	bool v6 = strchr(host, ':') != NULL;
	char both[sizeof(u->user) + sizeof(u->password)];
	int n;

	(void)buf_putf(out, "CONNECT %s%s%s:%u HTTP/1.1\r\n", v6 ? "[" : "",
		host, v6 ? "]" : "", port);
	(void)buf_putf(out, "Host: %s%s%s:%u\r\n", v6 ? "[" : "", host,
		v6 ? "]" : "", port);
	if (has_user(u)) {
		n = snprintf(both, sizeof(both), "%s:%s", u->user, u->password);
		(void)buf_putf(out, "Proxy-Authorization: Basic ");
		(void)base64_put(out, both, (size_t)n);
		(void)buf_put(out, "\r\n", 2);
		explicit_bzero(both, sizeof(both));
	}
	(void)buf_put(out, "\r\n", 2);
}

/* RFC 1929 section 2. */
static void say_user(const struct upstream *u, struct buf *out)
{
	size_t n = strlen(u->user), m = strlen(u->password);
	const uint8_t head[2] = {1, (uint8_t)n};
	const uint8_t len = (uint8_t)m;

	(void)buf_put(out, head, 2);
	(void)buf_put(out, u->user, n);
	(void)buf_put(out, &len, 1);
	(void)buf_put(out, u->password, m);
}

/* RFC 1928 section 4, with the name: it is resolved there. */
static void say_request(const char *host, uint16_t port, struct buf *out)
{
	uint8_t head[5] = {5, 1, 0, 3, 0};
	const uint8_t tail[2] = {(uint8_t)(port >> 8), (uint8_t)port};
	size_t n = strlen(host);
	struct address a;

	if (address_parse(host, n, &a) == 0) {
		bool v4 = address_is_v4(&a);

		head[3] = v4 ? 1 : 4;
		(void)buf_put(out, head, 4);
		(void)buf_put(out, v4 ? a.b + 12 : a.b, v4 ? 4 : 16);
	} else {
		head[4] = (uint8_t)n;
		(void)buf_put(out, head, 5);
		(void)buf_put(out, host, n);
	}
	(void)buf_put(out, tail, 2);
}

void upstream_say(const struct upstream *u, unsigned step, const char *host,
	uint16_t port, struct buf *out)
{
	const uint8_t greeting[3] = {5, 1, has_user(u) ? 2 : 0};

	if (u->kind == UPSTREAM_HTTP)
		say_connect(u, host, port, out);
	else if (step == 0)
		(void)buf_put(out, greeting, sizeof(greeting));
	else if (step == 1 && has_user(u))
		say_user(u, out);
	else
		say_request(host, port, out);
}

static int hear_http(
	const uint8_t *p, size_t n, size_t *ret_used, char *why, size_t why_len)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
	const uint8_t *line;

	if (!end)
		return n < UPSTREAM_ANSWER_MAX ? 0 : -EMSGSIZE;
	*ret_used = (size_t)(end + 4 - p);
	if (*ret_used >= 16 && memcmp(p, "HTTP/1.", 7) == 0 && p[8] == ' ' &&
		p[9] == '2')
		return 2;
	line = memchr(p, '\r', *ret_used);
	(void)snprintf(why, why_len, "the host's proxy said: %.*s",
		(int)MIN((size_t)(line - p), (size_t)80), (const char *)p);
	return -ECONNREFUSED;
}

/* RFC 1928 section 6: the bound address, which nobody needs, may be a name. */
static int hear_reply(
	const uint8_t *p, size_t n, size_t *ret_used, char *why, size_t why_len)
{
	size_t len;

	if (n < 5)
		return 0;
	if (p[0] != 5 || p[1] != 0) {
		(void)snprintf(why, why_len,
			"the host's proxy refused it with code %u", p[1]);
		return -ECONNREFUSED;
	}
	len = p[3] == 1 ? 4 : p[3] == 4 ? 16 : p[3] == 3 ? 1u + p[4] : 0;
	if (len == 0)
		return -EBADMSG;
	if (n < 4 + len + 2)
		return 0;
	*ret_used = 4 + len + 2;
	return 2;
}

int upstream_hear(const struct upstream *u, unsigned step, const uint8_t *p,
	size_t n, size_t *ret_used, char *why, size_t why_len)
{
	unsigned last = has_user(u) ? 2 : 1;

	*ret_used = 0;
	(void)snprintf(why, why_len, "the host's proxy is not understood");
	if (u->kind == UPSTREAM_HTTP)
		return hear_http(p, n, ret_used, why, why_len);
	if (step >= last)
		return hear_reply(p, n, ret_used, why, why_len);
	if (n < 2)
		return 0;
	*ret_used = 2;
	if (step == 0 && p[0] == 5 && p[1] == (has_user(u) ? 2 : 0))
		return 1;
	if (step == 1 && p[1] == 0)
		return 1;
	(void)snprintf(
		why, why_len, "the host's proxy wants other credentials");
	return -EACCES;
}
