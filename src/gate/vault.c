/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/vault.h"

#include "base/fd.h"
#include "http/base64.h"
#include "wire/gate.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct use {
	char *field;  /* lower case; "*": any; "?": the query */
	char *before; /* of the placeholder; of the query: the parameter */
	char *after;
	bool basic;
	bool anywhere;
};

struct secret {
	char *name;
	char *placeholder;
	char *value;
	struct policy_target hosts[GATE_SECRET_HOSTS];
	size_t n_hosts;
	struct use uses[GATE_SECRET_USES];
	size_t n_uses;
};

struct vault {
	struct ca *ca;
	struct ca_text signer; /* while reading */
	struct secret *secrets;
	size_t n;
};

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void secret_done(struct secret *s)
{
	free(s->name);
	free(s->placeholder);
	wipe(s->value);
	for (size_t i = 0; i < s->n_uses; i++) {
		free(s->uses[i].field);
		free(s->uses[i].before);
		free(s->uses[i].after);
	}
}

void vault_free(struct vault *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n; i++)
		secret_done(&v->secrets[i]);
	free(v->secrets);
	ca_text_free(&v->signer);
	ca_free(v->ca);
	free(v);
}

static void vault_freep(struct vault **v)
{
	vault_free(*v);
}

struct ca *vault_ca(const struct vault *v)
{
	return v ? v->ca : NULL;
}

/* ---- reading ---- */

static int parse_use(const char *text, struct use *u)
{
	const char *colon = strchr(text, ':');
	const char *f, *at;

	if (text[0] == '?') {
		u->field = xstrdup("?");
		u->before = xstrdup(text + 1);
		return u->before[0] ? 0 : -EBADMSG;
	}
	if (!colon || colon == text || colon[1] != ' ')
		return -EBADMSG;
	f = colon + 2;
	at = strstr(f, "%s");
	u->anywhere = streq(f, "*");
	if (!u->anywhere && !at)
		return -EBADMSG;
	u->field = xstrndup(text, (size_t)(colon - text));
	for (char *c = u->field; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	u->before = xstrndup(f, at ? (size_t)(at - f) : 0);
	u->after = xstrdup(at ? at + 2 : "");
	u->basic = strcasecmp(u->before, "basic ") == 0;
	return 0;
}

static int read_secret_field(struct secret *s, const struct tlv *t)
{
	_cleanup_free_ char *text = NULL;
	int r;

	switch (t->tag) {
	case GS_NAME:
		return s->name ? -EBADMSG : tlv_str(t, 64, &s->name);
	case GS_PLACEHOLDER:
		return s->placeholder ? -EBADMSG
				      : tlv_str(t, 128, &s->placeholder);
	case GS_VALUE:
		return s->value ? -EBADMSG
				: tlv_str(t, GATE_SECRET_MAX, &s->value);
	case GS_HOST:
		r = s->n_hosts == GATE_SECRET_HOSTS ? -E2BIG
						    : tlv_str(t, 512, &text);
		return r ? r
			 : policy_target_parse(
				   text, &s->hosts[s->n_hosts++], NULL);
	case GS_USE:
		r = s->n_uses == GATE_SECRET_USES ? -E2BIG
						  : tlv_str(t, 256, &text);
		return r ? r : parse_use(text, &s->uses[s->n_uses++]);
	default:
		return 0; /* from a newer coved */
	}
}

static int read_secret(struct vault *v, const struct tlv *record)
{
	struct tlv_iter it = tlv_iter(record->p, record->len);
	struct secret *s;
	struct tlv t;
	int r;

	if (v->n == GATE_SECRETS_MAX)
		return -E2BIG;
	s = &v->secrets[v->n++];
	while ((r = tlv_next(&it, &t)) > 0) {
		r = read_secret_field(s, &t);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	/* An empty placeholder would be everywhere. */
	return s->name && s->value && s->placeholder && s->placeholder[0] &&
			s->n_hosts && s->n_uses
		? 0
		: -EBADMSG;
}

static int read_field(struct vault *v, const struct tlv *t)
{
	switch (t->tag) {
	case GK_SIGNER_KEY:
		return v->signer.key ? -EBADMSG
				     : tlv_str(t, 16384, &v->signer.key);
	case GK_SIGNER_CERT:
		return v->signer.cert ? -EBADMSG
				      : tlv_str(t, 65536, &v->signer.cert);
	case GK_SECRET:
		return read_secret(v, t);
	default:
		return 0;
	}
}

static int parse(struct vault *v, const uint8_t *p, size_t len, struct err *err)
{
	struct tlv_iter it = tlv_iter(p, len);
	struct tlv t;
	int r;

	v->secrets = xcalloc(GATE_SECRETS_MAX, sizeof(*v->secrets));
	while ((r = tlv_next(&it, &t)) > 0) {
		r = read_field(v, &t);
		if (r < 0)
			break;
	}
	if (r < 0)
		return err_sys(err, -r, "the secrets cannot be read");
	v->secrets =
		xrealloc(v->secrets, MAX(v->n, (size_t)1), sizeof(*v->secrets));
	if (v->signer.key && v->signer.cert)
		r = ca_open(&v->signer, &v->ca, err);
	ca_text_free(&v->signer);
	return r;
}

/* What was passed is in this process only, then. */
static void wipe_file(int fd, size_t size)
{
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)size) < 0)
		return;
}

int vault_read(int fd, struct vault **ret, struct err *err)
{
	_cleanup_(vault_freep) struct vault *v = xnew(struct vault);
	struct stat st;
	uint8_t *p;
	size_t size;
	int r = 0;

	if (fstat(fd, &st) < 0 || st.st_size < 0 ||
		st.st_size > (off_t)GATE_KEYS_MAX)
		return err_set(err, EFBIG, "the secrets are too long");
	size = (size_t)st.st_size;
	p = xcalloc(1, size + 1);
	if (pread(fd, p, size, 0) != (ssize_t)size)
		r = err_set(err, EIO, "the secrets cannot be read");
	wipe_file(fd, size);
	r = r ? r : parse(v, p, size, err);
	explicit_bzero(p, size);
	free(p);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(v);
	return 0;
}

/* ---- use ---- */

/* The same code as the rules': a secret's hosts are rules that allow. */
static bool belongs(
	const struct secret *s, const struct hostname *name, uint16_t port)
{
	const struct policy_question q = {
		.proto = POLICY_TCP, .name = name, .port = port};

	for (size_t i = 0; i < s->n_hosts; i++) {
		struct policy_rule rule = {
			.allow = true, .target = s->hosts[i]};
		const struct policy p = {&rule, 1};

		if (policy_ask(&p, &q).verdict == POLICY_ALLOW)
			return true;
	}
	return false;
}

bool vault_speaks_of(
	const struct vault *v, const struct hostname *name, uint16_t port)
{
	for (size_t i = 0; v && i < v->n; i++)
		if (belongs(&v->secrets[i], name, port))
			return true;
	return false;
}

/* Every placeholder in value becomes the secret. */
static int put_anywhere(
	const struct secret *s, const char *value, size_t len, struct buf *out)
{
	size_t n = strlen(s->placeholder);
	bool found = false;
	const char *at;
	int r = 0;

	while (r == 0 && (at = memmem(value, len, s->placeholder, n))) {
		r = buf_put(out, value, (size_t)(at - value));
		r = r ? r : buf_put(out, s->value, strlen(s->value));
		len -= (size_t)(at + n - value);
		value = at + n;
		found = true;
	}
	if (r == 0 && found)
		r = buf_put(out, value, len);
	return r < 0 ? r : found;
}

/* "user:password" with the placeholder as one of the two. */
static int put_pair(
	const struct secret *s, const char *p, size_t len, struct buf *out)
{
	size_t n = strlen(s->placeholder);
	const char *colon = memchr(p, ':', len);
	size_t user = colon ? (size_t)(colon - p) : len;
	bool is_user = user == n && memcmp(p, s->placeholder, n) == 0;
	bool is_word = colon && len - user - 1 == n &&
		memcmp(colon + 1, s->placeholder, n) == 0;
	int r;

	if (!is_user && !is_word)
		return 0;
	r = buf_put(
		out, is_user ? s->value : p, is_user ? strlen(s->value) : user);
	r = r ? r : buf_put(out, ":", colon ? 1 : 0);
	if (r == 0 && colon)
		r = buf_put(out, is_word ? s->value : colon + 1,
			is_word ? strlen(s->value) : len - user - 1);
	return r < 0 ? r : 1;
}

static int put_basic(
	const struct secret *s, const char *value, size_t len, struct buf *out)
{
	char plain[4096];
	struct buf pair;
	size_t n;
	int r;

	if (base64_decode(value, len, plain, sizeof(plain), &n) < 0)
		return 0;
	buf_init(&pair, 4 * GATE_SECRET_MAX);
	r = put_pair(s, plain, n, &pair);
	if (r > 0) {
		int e = base64_put(out, buf_head(&pair), buf_len(&pair));

		r = e < 0 ? e : 1;
	}
	if (pair.cap)
		explicit_bzero(pair.data, pair.cap);
	buf_done(&pair);
	return r;
}

static int put_field(const struct secret *s, const struct use *u,
	const char *value, size_t len, struct buf *out)
{
	size_t before = strlen(u->before), after = strlen(u->after);
	size_t n = strlen(s->placeholder);
	int r;

	if (u->anywhere)
		return put_anywhere(s, value, len, out);
	if (len < before || strncasecmp(value, u->before, before) != 0)
		return 0;
	if (!u->basic &&
		(len != before + n + after ||
			memcmp(value + before, s->placeholder, n) != 0 ||
			memcmp(value + before + n, u->after, after) != 0))
		return 0;
	r = buf_put(out, value, before);
	if (r == 0 && u->basic) {
		r = put_basic(s, value + before, len - before, out);
		if (r <= 0)
			buf_clear(out);
		return r;
	}
	r = r ? r : buf_put(out, s->value, strlen(s->value));
	r = r ? r : buf_put(out, u->after, after);
	return r < 0 ? r : 1;
}

/* RFC 3986 section 2.3: what needs no escape. */
static int put_escaped(struct buf *out, const char *s)
{
	int r = 0;

	for (; *s && r == 0; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') ||
			(*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
			strchr("-._~", *s);

		r = plain ? buf_put(out, s, 1)
			  : buf_putf(out, "%%%02X", (uint8_t)*s);
	}
	return r;
}

/* The parameter whose whole value is the placeholder. */
static int put_query(const struct secret *s, const struct use *u,
	const char *target, size_t len, struct buf *out)
{
	_cleanup_free_ char *want =
		xasprintf("%s=%s", u->before, s->placeholder);
	const char *q = memchr(target, '?', len), *end = target + len;
	size_t n = strlen(want), name = strlen(u->before) + 1;
	int r;

	while (q && q < end) {
		const char *p = q + 1;
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp ? amp : end;

		if ((size_t)(stop - p) == n && memcmp(p, want, n) == 0) {
			r = buf_put(out, target, (size_t)(p - target) + name);
			r = r ? r : put_escaped(out, s->value);
			r = r ? r : buf_put(out, stop, (size_t)(end - stop));
			return r < 0 ? r : 1;
		}
		q = amp;
	}
	return 0;
}

static bool field_fits(const struct use *u, const char *field, size_t len)
{
	if (field[0] == '?')
		return u->field[0] == '?';
	return streq(u->field, "*") ||
		(strlen(u->field) == len &&
			strncasecmp(u->field, field, len) == 0);
}

int vault_replace(const struct vault *v, const struct hostname *name,
	uint16_t port, const char *field, size_t field_len, const char *value,
	size_t len, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; v && i < v->n && r == 0; i++) {
		const struct secret *s = &v->secrets[i];

		if (!belongs(s, name, port))
			continue;
		for (size_t k = 0; k < s->n_uses && r == 0; k++) {
			const struct use *u = &s->uses[k];

			if (!field_fits(u, field, field_len))
				continue;
			r = field[0] == '?' ? put_query(s, u, value, len, out)
					    : put_field(s, u, value, len, out);
		}
	}
	return r;
}
