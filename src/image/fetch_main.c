/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-fetch: one HTTP GET for cove-image (image/fetch.h). Reads the request,
 * resolves the name and loads the certificates, gives up everything but the
 * network and the body's file, and only then speaks to the server.
 */
#include "image/fetch.h"

#include "base/fd.h"
#include "base/log.h"
#include "jail/jail.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define CA_MAX (8 * MIB)
#define ADDRESSES_MAX 8
#define SILENCE_S 60L /* without a byte */
#define CONNECT_S 30L
#define TICK_BYTES (1 * MIB)
#define HEADERS_MAX 200u

static const char *const ca_files[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};

struct job {
	struct fetch_request req;
	struct fetch_reply reply;
	CURL *curl;
	struct curl_slist *headers;
	struct curl_slist *resolved;
	char *ca;
	size_t ca_len;
	uint64_t told;
	unsigned n_headers;
	int failed; /* errno of writing the body, EFBIG beyond its maximum */
	char why[CURL_ERROR_SIZE];
};

static void say(struct job *j)
{
	if (fd_write_all(1, &j->reply, sizeof(j->reply)) < 0)
		_exit(1);
}

static int end(struct job *j, int code, bool retry, const char *text)
{
	j->reply.done = true;
	j->reply.code = code;
	j->reply.retry = retry;
	(void)snprintf(
		j->reply.text, sizeof(j->reply.text), "%s", text ? text : "");
	say(j);
	return code ? 1 : 0;
}

static bool has_body(const struct job *j)
{
	return j->reply.status == 200 || j->reply.status == 206;
}

/* Refusals and redirects have bodies that nobody needs. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct job *j = arg;
	size_t len = size * n;
	long status = 0;

	(void)curl_easy_getinfo(j->curl, CURLINFO_RESPONSE_CODE, &status);
	j->reply.status = (uint32_t)status;
	if (!has_body(j))
		return len;
	/* the whole thing, though only the rest was asked for */
	if (j->reply.status == 200 && j->req.offset) {
		if (ftruncate(FETCH_BODY_FD, 0) < 0)
			j->failed = errno;
		j->req.max += j->req.offset;
		j->req.offset = 0;
	}
	if (j->reply.got + len > j->req.max)
		j->failed = EFBIG;
	else if (!j->failed)
		j->failed = -fd_write_all(FETCH_BODY_FD, p, len);
	if (j->failed)
		return 0;
	j->reply.got += len;
	if (j->reply.got - j->told >= TICK_BYTES) {
		j->told = j->reply.got;
		say(j);
	}
	return len;
}

static bool header_is(
	const char *p, size_t len, const char *name, char *value, size_t size)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(p, name, n) != 0 || p[n] != ':')
		return false;
	p += n + 1;
	len -= n + 1;
	while (len > 0 && (*p == ' ' || *p == '\t'))
		p++, len--;
	while (len > 0 &&
		(p[len - 1] == '\r' || p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	if (len >= size || memchr(p, '\0', len))
		return false;
	memcpy(value, p, len);
	value[len] = '\0';
	return true;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct job *j = arg;
	char value[FETCH_URL_MAX];
	size_t len = size * n;

	if (j->n_headers++ > HEADERS_MAX)
		return 0;
	if (header_is(p, len, "WWW-Authenticate", value, sizeof(value)))
		fetch_challenge(value, &j->reply);
	if (header_is(p, len, "Content-Length", value, sizeof(value)))
		j->reply.total = strtoull(value, NULL, 10);
	if (header_is(p, len, "Location", value, sizeof(value)))
		memcpy(j->reply.location, value, strlen(value) + 1);
	return len;
}

/* Before the jail: the host's own resolver, with all that it may load. */
static int resolve(struct job *j, const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	_cleanup_free_ char *entry = xasprintf("%s:%s:", host, port);
	struct addrinfo *list = NULL;
	char text[64];
	int n = 0, r = getaddrinfo(host, port, &hints, &list);

	for (struct addrinfo *a = list; r == 0 && a; a = a->ai_next) {
		_cleanup_free_ char *old = NULL;

		if (n == ADDRESSES_MAX ||
			getnameinfo(a->ai_addr, a->ai_addrlen, text,
				sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		old = entry;
		entry = xasprintf("%s%s%s", old, n++ ? "," : "", text);
	}
	if (list)
		freeaddrinfo(list);
	if (n > 0)
		j->resolved = curl_slist_append(j->resolved, entry);
	return n > 0 ? 0 : -ENOENT;
}

static int resolve_url(struct job *j, const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL, *port = NULL;
	int r = -EINVAL;

	if (u &&
		curl_url_set(u, CURLUPART_URL, url,
			CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) ==
			CURLUE_OK &&
		curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
			CURLUE_OK) {
		/* an address needs nobody's help */
		if (host[0] == '[' ||
			strspn(host, "0123456789.") == strlen(host))
			r = 0;
		else
			r = resolve(j, host, port);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return r;
}

static const char *proxy_of(const struct job *j)
{
	static const char *const names[] = {
		"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};

	for (size_t k = 0; k < ARRAY_SIZE(names) && !j->req.http; k++) {
		const char *p = getenv(names[k]);

		if (p && *p)
			return p;
	}
	return NULL;
}

static int resolve_all(struct job *j)
{
	const char *proxy = proxy_of(j);
	int r = resolve_url(j, j->req.url);

	return proxy ? resolve_url(j, proxy) : r;
}

static int load_certificates(struct job *j)
{
	const char *own = getenv("SSL_CERT_FILE");
	ssize_t n = -ENOENT;

	if (own && *own)
		n = fd_slurp_at(AT_FDCWD, own, CA_MAX, &j->ca);
	for (size_t k = 0; n < 0 && k < ARRAY_SIZE(ca_files); k++)
		n = fd_slurp_at(AT_FDCWD, ca_files[k], CA_MAX, &j->ca);
	j->ca_len = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : -ENOENT;
}

static void add_header(struct job *j, const char *name, const char *value)
{
	_cleanup_free_ char *line = xasprintf("%s: %s", name, value);

	j->headers = curl_slist_append(j->headers, line);
}

static void set_options(struct job *j)
{
	CURL *c = j->curl;
	struct curl_blob ca = {j->ca, j->ca_len, CURL_BLOB_NOCOPY};
	const char *proxy = proxy_of(j);

	curl_easy_setopt(c, CURLOPT_URL, j->req.url);
	curl_easy_setopt(
		c, CURLOPT_PROTOCOLS_STR, j->req.http ? "http" : "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "cove/" COVE_VERSION);
	curl_easy_setopt(c, CURLOPT_RESOLVE, j->resolved);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, j->why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, j);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, j);
	curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PROXY, proxy ? proxy : "");
	if (!j->req.http)
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
	if (j->req.accept[0])
		add_header(j, "Accept", j->req.accept);
	if (j->req.authorization[0])
		add_header(j, "Authorization", j->req.authorization);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, j->headers);
	if (j->req.offset) {
		_cleanup_free_ char *range =
			xasprintf("%llu-", (unsigned long long)j->req.offset);

		curl_easy_setopt(c, CURLOPT_RANGE, range); /* copied */
	}
}

static int enter_jail(struct err *err)
{
	const struct jail_files files = {.n = 0, .network = true};
	const int keep[] = {FETCH_BODY_FD};
	int r = jail_fds(keep, 1, err);

	if (r == 0)
		r = jail_enter(&files, 0, err);
	return r ? r : jail_syscalls(JAIL_FETCH, err);
}

static int perform(struct job *j)
{
	CURLcode c = curl_easy_perform(j->curl);
	long status = 0;

	(void)curl_easy_getinfo(j->curl, CURLINFO_RESPONSE_CODE, &status);
	j->reply.status = (uint32_t)status;
	if (j->failed == EFBIG)
		return end(
			j, EFBIG, false, "the server sends more than it said");
	if (j->failed)
		return end(j, j->failed, false, strerror(j->failed));
	if (c == CURLE_OK)
		return end(j, 0, false, "");
	return end(j, EIO,
		c != CURLE_PEER_FAILED_VERIFICATION &&
			c != CURLE_UNSUPPORTED_PROTOCOL &&
			c != CURLE_URL_MALFORMAT,
		j->why[0] ? j->why : curl_easy_strerror(c));
}

static int prepare(struct job *j, struct err *err)
{
	struct stat st;
	int r;

	if (fd_read_all(0, &j->req, sizeof(j->req)) < 0 ||
		fstat(FETCH_BODY_FD, &st) < 0)
		return err_set(err, EINVAL, "started by hand");
	j->req.url[sizeof(j->req.url) - 1] = '\0';
	j->req.accept[sizeof(j->req.accept) - 1] = '\0';
	j->req.authorization[sizeof(j->req.authorization) - 1] = '\0';
	tzset(); /* reads a file when a certificate's dates are compared */
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
		return err_set(err, ENOSYS, "libcurl does not start");
	j->curl = curl_easy_init();
	if (!j->curl)
		return err_set(err, ENOSYS, "libcurl does not start");
	if (!j->req.http && load_certificates(j) < 0)
		return err_set(err, ENOENT,
			"no certificate authorities on this host; install the "
			"package ca-certificates");
	r = resolve_all(j);
	if (r < 0)
		return err_set(err, ENOENT, "cannot resolve the host of %.200s",
			j->req.url);
	set_options(j);
	return 0;
}

int main(void)
{
	static struct job j;
	struct err err = {0};
	int r;

	log_init("cove-fetch", LOG_L_INFO);
	r = prepare(&j, &err);
	if (r < 0)
		return end(&j, -r, r == -ENOENT, err.text);
	r = enter_jail(&err);
	if (r < 0)
		return end(&j, -r, false, err.text);
	return perform(&j);
}
