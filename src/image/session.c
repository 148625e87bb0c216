/* SPDX-License-Identifier: Apache-2.0 */
#include "image/session.h"

#include "image/cache.h"
#include "image/worker.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define ATTEMPTS 5u
#define HOPS 8u
#define FIRST_PAUSE_MS 500u
#define TOKEN_BODY_MAX (64 * KIB)

/* RFC 4648. */
static char *base64(const char *p, size_t len)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = xcalloc(1, (len + 2) / 3 * 4 + 1), *to = out;

	for (size_t k = 0; k < len; k += 3) {
		uint32_t v = (uint32_t)(uint8_t)p[k] << 16;

		v |= k + 1 < len ? (uint32_t)(uint8_t)p[k + 1] << 8 : 0;
		v |= k + 2 < len ? (uint8_t)p[k + 2] : 0;
		*to++ = set[v >> 18];
		*to++ = set[v >> 12 & 63];
		*to++ = k + 1 < len ? set[v >> 6 & 63] : '=';
		*to++ = k + 2 < len ? set[v & 63] : '=';
	}
	return out;
}

static void wipe(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

int session_credential(struct session *s, struct err *err)
{
	_cleanup_(json_decrefp) json_t *one =
		cache_read_json(AT_FDCWD, "/proc/self/fd/0");
	const char *host, *user, *password;
	char *pair;

	host = json_string_value(json_object_get(one, "host"));
	user = json_string_value(json_object_get(one, "user"));
	password = json_string_value(json_object_get(one, "password"));
	if (!host || !user || !password)
		return err_set(err, EINVAL,
			"--credential wants {\"host\", \"user\", "
			"\"password\"} on standard input");
	if (!streq(host, s->ref.host))
		return err_set(err, EINVAL,
			"the credential is %.255s's, not %s's", host,
			s->ref.host);
	pair = xasprintf("%s:%s", user, password);
	s->basic = base64(pair, strlen(pair));
	wipe(pair);
	return 0;
}

void session_init(struct session *s, const struct image_ref *ref, int dir,
	struct progress *p)
{
	*s = (struct session){.ref = *ref, .p = p, .dir = dir, .what = ""};
}

void session_done(struct session *s)
{
	wipe(s->basic);
	s->basic = NULL;
	explicit_bzero(s->authorization, sizeof(s->authorization));
}

static void tick(void *arg, const struct fetch_reply *now)
{
	struct session *s = arg;
	uint64_t done = s->base + now->got;

	progress_count(s->p, "pull", done, s->total, "%s, %llu of %llu MiB",
		s->what, (unsigned long long)done >> 20,
		(unsigned long long)s->total >> 20);
}

static void pause_ms(unsigned ms)
{
	const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

	(void)ppoll(NULL, 0, &t, NULL);
}

/* The network's and the server's bad moments; twice as long each time. */
static int try_fetch(struct session *s, struct fetch_request *q, int fd,
	struct fetch_reply *reply, struct err *err)
{
	unsigned pause = FIRST_PAUSE_MS;
	uint64_t max = q->max;
	struct stat st;
	int r = 0;

	for (unsigned k = 0; k < ATTEMPTS; k++, pause *= 2) {
		if (k > 0) {
			progress_say(s->p, "retry", "%s: %.150s", s->what,
				r < 0 ? err->text : "the server is busy");
			pause_ms(pause);
		}
		/* what came before it broke off needs not come again */
		if (fstat(fd, &st) < 0)
			return err_sys(err, errno, "cannot read a download");
		q->offset = (uint64_t)st.st_size;
		q->max = max > q->offset ? max - q->offset : 0;
		r = fetch(q, fd, tick, s, reply, err);
		if (r < 0 ? !reply->retry
			  : reply->status != 429 && reply->status < 500)
			return r;
	}
	if (r == 0)
		return err_set(err, EIO, "%s answers with status %u",
			s->ref.host, reply->status);
	return r;
}

/* "https://host[:port]" of a URL as it is. */
static size_t origin_len(const char *url)
{
	const char *host = strstr(url, "://");

	return host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
}

static bool same_origin(const char *a, const char *b)
{
	size_t n = origin_len(a);

	return n > 0 && n == origin_len(b) && strncmp(a, b, n) == 0;
}

static bool allowed(const struct session *s, const char *url)
{
	if (strncmp(url, "https://", 8) == 0)
		return true;
	return s->ref.http && strncmp(url, "http://", 7) == 0 &&
		image_ref_loopback(url + 7);
}

static int set_url(struct session *s, struct fetch_request *q, const char *url,
	struct err *err)
{
	if (strlen(url) >= sizeof(q->url))
		return err_set(err, EBADMSG, "%s sends an address too long",
			s->ref.host);
	if (!allowed(s, url))
		return err_set(err, EPERM,
			"%s sends us to %.200s, which is not https",
			s->ref.host, url);
	memmove(q->url, url, strlen(url) + 1);
	q->http = url[4] == ':';
	return 0;
}

static int redirect(struct session *s, struct fetch_request *q,
	const struct fetch_reply *reply, struct err *err)
{
	_cleanup_free_ char *to = NULL;

	if (reply->location[0] == '/' && reply->location[1] != '/')
		to = xasprintf("%.*s%s", (int)origin_len(q->url), q->url,
			reply->location);
	else
		to = xstrdup(reply->location);
	if (!same_origin(q->url, to))
		q->authorization[0] = '\0';
	return set_url(s, q, to, err);
}

/* Tokens. */

struct token_job {
	int fd;
};

static int parse_token(void *arg, void *ret, struct err *err)
{
	const struct token_job *j = arg;
	_cleanup_free_ char *text = xcalloc(1, TOKEN_BODY_MAX + 1);
	ssize_t n = pread(j->fd, text, TOKEN_BODY_MAX, 0);

	if (n < 0)
		return err_sys(err, errno, "cannot read the token");
	return oci_token_parse(text, (size_t)n, ret, err);
}

static void put_escaped(char **to, const char *end, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (; *s && *to + 4 < end; s++) {
		uint8_t c = (uint8_t)*s;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || strchr("-._~:/,", *s)) {
			*(*to)++ = *s;
			continue;
		}
		*(*to)++ = '%';
		*(*to)++ = hex[c >> 4];
		*(*to)++ = hex[c & 15];
	}
	**to = '\0';
}

static int token_request(struct session *s, const struct fetch_reply *asked,
	struct fetch_request *q, struct err *err)
{
	char *to, *end = q->url + sizeof(q->url);
	_cleanup_free_ char *scope =
		xasprintf("repository:%s:pull", s->ref.repo);
	int r = set_url(s, q, asked->realm, err);

	if (r < 0)
		return r;
	to = q->url + strlen(q->url);
	to += snprintf(to, (size_t)(end - to),
		"%cscope=", strchr(q->url, '?') ? '&' : '?');
	put_escaped(&to, end, asked->scope[0] ? asked->scope : scope);
	if (asked->service[0]) {
		to += snprintf(to, (size_t)(end - to), "&service=");
		put_escaped(&to, end, asked->service);
	}
	if (to + 8 > end)
		return err_set(err, EBADMSG,
			"the token server's address is too "
			"long");
	if (s->basic)
		(void)snprintf(q->authorization, sizeof(q->authorization),
			"Basic %s", s->basic);
	q->max = TOKEN_BODY_MAX;
	return 0;
}

static int get_token(
	struct session *s, const struct fetch_reply *asked, struct err *err)
{
	_cleanup_free_ struct fetch_request *q = xnew(struct fetch_request);
	_cleanup_free_ struct fetch_reply *reply = xnew(struct fetch_reply);
	_cleanup_close_ int fd = openat(
		s->dir, ".", O_RDWR | O_APPEND | O_TMPFILE | O_CLOEXEC, 0600);
	struct token_job job = {.fd = fd};
	struct worker w = {.fn = parse_token, .arg = &job};
	_cleanup_free_ char *token = xcalloc(1, OCI_TOKEN_MAX);
	int r = fd < 0 ? err_sys(err, errno, "cannot keep a token")
		       : token_request(s, asked, q, err);

	if (r == 0)
		r = try_fetch(s, q, fd, reply, err);
	if (r < 0)
		return r;
	if (reply->status != 200)
		return err_set(err, EACCES,
			"%s gives no access to %s (status %u); if it is "
			"private: cove template login %s",
			s->ref.host, s->ref.repo, reply->status, s->ref.host);
	worker_keep(&w, fd);
	r = worker_run(&w, token, OCI_TOKEN_MAX, err);
	token[OCI_TOKEN_MAX - 1] = '\0';
	if (r == 0)
		(void)snprintf(s->authorization, sizeof(s->authorization),
			"Bearer %s", token);
	explicit_bzero(token, OCI_TOKEN_MAX);
	return r;
}

static int authorize(
	struct session *s, const struct fetch_reply *asked, struct err *err)
{
	if (asked->bearer)
		return get_token(s, asked, err);
	if (asked->basic && s->basic) {
		(void)snprintf(s->authorization, sizeof(s->authorization),
			"Basic %s", s->basic);
		return 0;
	}
	return err_set(err, EACCES,
		"%s wants a user and a password; give them with: cove template "
		"login %s",
		s->ref.host, s->ref.host);
}

static int judge(
	struct session *s, const struct fetch_reply *reply, struct err *err)
{
	if (reply->status == 404)
		return err_set(err, ENOENT, "%s has no %s (%s)", s->ref.host,
			s->ref.repo, s->what);
	if (reply->status == 401 || reply->status == 403)
		return err_set(err, EACCES,
			"%s refuses %s; is the credential right? cove template "
			"login %s",
			s->ref.host, s->ref.repo, s->ref.host);
	return err_set(err, EIO, "%s answers with status %u", s->ref.host,
		reply->status);
}

static int build_url(struct session *s, struct fetch_request *q,
	const char *path, struct err *err)
{
	_cleanup_free_ char *url = xasprintf("%s://%s/v2/%s/%s",
		s->ref.http ? "http" : "https", s->ref.host, s->ref.repo, path);

	memcpy(q->authorization, s->authorization, sizeof(q->authorization));
	return set_url(s, q, url, err);
}

int session_get(
	struct session *s, const struct session_get *get, struct err *err)
{
	_cleanup_free_ struct fetch_request *q = xnew(struct fetch_request);
	_cleanup_free_ struct fetch_reply *reply = xnew(struct fetch_reply);
	int r = build_url(s, q, get->path, err);

	(void)snprintf(q->accept, sizeof(q->accept), "%s", get->accept);
	s->authorized = false;
	for (unsigned k = 0; r == 0 && k < HOPS; k++) {
		q->max = get->max;
		r = try_fetch(s, q, get->fd, reply, err);
		if (r < 0 || reply->status == 200 || reply->status == 206)
			return r;
		/* a token may have ended meanwhile: asked for once more */
		if (reply->status == 401 && !s->authorized) {
			s->authorized = true;
			r = authorize(s, reply, err);
			if (r == 0)
				r = build_url(s, q, get->path, err);
		} else if (reply->status >= 300 && reply->status < 400 &&
			reply->location[0]) {
			r = redirect(s, q, reply, err);
		} else {
			return judge(s, reply, err);
		}
	}
	return r < 0
		? r
		: err_set(err, ELOOP, "%s redirects for ever", s->ref.host);
}
