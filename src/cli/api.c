/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/api.h"
#include "base/fd.h"
#include "cli/start.h"
#include "cli/text.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_MAX (2u * 1024u * 1024u)
#define READ_SIZE (64u * 1024u)

/* One request and its answer; fd is owned. */
struct exchange {
	const struct api *api;
	int fd;
	struct buf in;
	struct http_parser parser;
	struct http_body body;
};

static const struct api_code {
	const char *name;
	int code;
} codes[] = {
	{"bad_request", EINVAL},
	{"forbidden", EPERM},
	{"not_found", ENOENT},
	{"conflict", EEXIST},
	{"too_large", E2BIG},
	{"refused", ERANGE},
	{"internal", EIO},
	{"unavailable", EAGAIN},
};

int api_errno(const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (streq(codes[i].name, code))
			return codes[i].code;
	return EIO;
}

static int errno_of_status(unsigned status)
{
	return status == 404 ? ENOENT : status < 500 ? EINVAL : EIO;
}

static int lost(struct err *err)
{
	return err_set(err, EPIPE,
		"coved closed the connection before it answered; see: "
		"cove daemon status");
}

static int foreign(const char *why, struct err *err)
{
	return err_set(err, EPROTO,
		"coved answered something that is not its API (%s); are cove "
		"and coved the same version? see: cove version",
		why);
}

int api_connect(const struct api *api, struct err *err)
{
	int r = cli_paths(api->cli, err);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = start_connect(&api->cli->paths);
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		if (api->no_start || getenv("COVE_NO_START"))
			return err_set(err, ENOTCONN,
				"coved is not running; "
				"start it: cove daemon start");
		r = start_daemon(&api->cli->paths, err);
		if (r < 0) {
			/* Whatever it was, it is Cove that does not work. */
			if (err)
				err->code = ECHILD;
			return -ECHILD;
		}
		fd = start_connect(&api->cli->paths);
	}
	if (fd < 0)
		return err_sys(err, -fd, "cannot reach coved on %s/coved.sock",
			api->cli->paths.run);
	uid_t uid;
	if (sock_peer_uid(fd, &uid) < 0 || uid != geteuid())
		return err_set(err, ECONNREFUSED,
			"%s/coved.sock is served by another user; not used",
			api->cli->paths.run);
	return TAKE_FD(fd);
}

static void exchange_done(struct exchange *x)
{
	closep(&x->fd);
	buf_done(&x->in);
}

static int send_all(int fd, const struct buf *out, struct err *err)
{
	const uint8_t *p = buf_head(out);
	size_t left = buf_len(out);

	while (left) {
		ssize_t n = send(fd, p, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		/* It may have answered and closed: the answer tells why. */
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return 0;
		if (n < 0)
			return err_sys(err, errno, "cannot write to coved");
		p += n;
		left -= (size_t)n;
	}
	return 0;
}

static int put_request(struct buf *out, const char *method, const char *path,
	const json_t *body, const char *accept)
{
	_cleanup_free_ char *text =
		body ? json_dumps(body, JSON_COMPACT) : NULL;
	int r = http_put_request(out, method, path);

	if (r == 0)
		r = http_put_field(out, "Host", "coved");
	if (r == 0)
		r = http_put_field(
			out, "Accept", accept ? accept : "application/json");
	if (r == 0)
		r = http_put_field(out, "Connection", "close");
	if (r == 0 && text)
		r = http_put_field(out, "Content-Type", "application/json");
	if (r == 0 && (text || !streq(method, "GET")))
		r = http_put_length(out, text ? strlen(text) : 0);
	if (r == 0)
		r = http_put_end(out);
	return r == 0 && text ? buf_put(out, text, strlen(text)) : r;
}

/* Waits for bytes, ticking; 0 readable, -ETIMEDOUT after too much silence. */
static int wait_readable(const struct exchange *x, struct err *err)
{
	const struct api *api = x->api;
	uint64_t begin = now_ms();

	for (;;) {
		struct pollfd pfd = {.fd = x->fd, .events = POLLIN};
		uint64_t gone = now_ms() - begin;
		int wait = api->tick ? API_TICK_MS : -1;

		if (api->timeout_ms && gone >= api->timeout_ms)
			return err_set(err, ETIMEDOUT,
				"coved does not answer; restart it (sandboxes "
				"go on): cove daemon restart");
		if (api->timeout_ms && !api->tick)
			wait = (int)(api->timeout_ms - gone);
		int n = poll(&pfd, 1, wait);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot wait for coved");
		if (n == 0 && api->tick)
			api->tick(api->tick_arg);
	}
}

/* More bytes in x->in: how many, 0 at the end, -errno with text. */
static ssize_t more(struct exchange *x, struct err *err)
{
	int r = wait_readable(x, err);

	if (r < 0)
		return r;
	ssize_t n = buf_read_fd(&x->in, x->fd, READ_SIZE);
	if (n == -ECONNRESET)
		return 0;
	if (n == -ENOBUFS)
		return foreign("too large", err);
	if (n < 0)
		return err_sys(err, (int)-n, "cannot read from coved");
	return n;
}

static int read_head(struct exchange *x, struct err *err)
{
	http_parser_init(&x->parser, HTTP_RESPONSE);
	for (;;) {
		int r = buf_len(&x->in)
			? http_parse(
				  &x->parser, buf_head(&x->in), buf_len(&x->in))
			: 0;
		if (r < 0)
			return foreign(x->parser.why, err);
		if (r > 0)
			return 0;
		ssize_t n = more(x, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return lost(err);
	}
}

/* Hands the body to fn; whatever fn returns first, else 0 at its end. */
static int read_body(
	struct exchange *x, api_piece_fn *fn, void *arg, struct err *err)
{
	for (;;) {
		const uint8_t *data = NULL;
		size_t used = 0, len = 0;
		int r = http_body_feed(&x->body, buf_head(&x->in),
			buf_len(&x->in), &used, &data, &len);
		if (r < 0)
			return foreign("a broken body", err);
		int stop = len ? fn(arg, data, len) : 0;
		buf_consume(&x->in, used);
		if (stop || r > 0)
			return stop;
		if (used)
			continue;
		ssize_t n = more(x, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return http_body_eof(&x->body) == 0 ? 0 : lost(err);
	}
}

static int collect(void *arg, const uint8_t *p, size_t len)
{
	return buf_put(arg, p, len);
}

static int error_of(const json_t *answer, unsigned status, struct err *err)
{
	const json_t *e = json_object_get(answer, "error");
	const char *message = jstr(e, "message");
	const char *code = jstr(e, "code");

	if (!*message)
		return err_set(err, errno_of_status(status),
			"coved answered %u %s", status, http_reason(status));
	return err_set(err, *code ? api_errno(code) : errno_of_status(status),
		"%s", message);
}

/* The whole body as JSON; an empty one is NULL. */
static int read_json(struct exchange *x, json_t **ret, struct err *err)
{
	_cleanup_(buf_done) struct buf all;
	json_error_t why;

	buf_init(&all, API_BODY_MAX);
	int r = read_body(x, collect, &all, err);
	if (r == -ENOBUFS)
		return foreign("too large", err);
	if (r < 0)
		return r;
	*ret = NULL;
	if (buf_len(&all) == 0)
		return 0;
	*ret = json_loadb((const char *)buf_head(&all), buf_len(&all),
		JSON_REJECT_DUPLICATES, &why);
	return *ret ? 0 : foreign("broken JSON", err);
}

static int read_error(struct exchange *x, struct err *err)
{
	unsigned status = x->parser.head.status;
	json_t *answer = NULL;

	if (read_json(x, &answer, NULL) < 0)
		answer = NULL;
	int r = error_of(answer, status, err);
	json_decref(answer);
	return r;
}

/* Sends one request and reads the head of its answer. */
static int exchange_open(struct exchange *x, const struct api *api,
	const struct buf *request, struct err *err)
{
	*x = (struct exchange){.api = api, .fd = -1};
	buf_init(&x->in, READ_SIZE * 2 + HTTP_HEAD_MAX);
	x->fd = api_connect(api, err);
	if (x->fd < 0)
		return x->fd;
	int r = send_all(x->fd, request, err);
	if (r == 0)
		r = read_head(x, err);
	return r;
}

/* After the head: the body follows in x->in. Errors are taken here. */
static int exchange_body(struct exchange *x, struct err *err)
{
	http_body_init(&x->body, &x->parser.head);
	buf_consume(&x->in, x->parser.head.size);
	if (x->parser.head.status >= 400)
		return read_error(x, err);
	if (x->parser.head.status < 200 || x->parser.head.status >= 300)
		return foreign("an unexpected status", err);
	return 0;
}

static int exchange_start(struct exchange *x, const struct api *api,
	const char *method, const char *path, const json_t *body,
	const char *accept, struct err *err)
{
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, REQUEST_MAX);
	if (put_request(&out, method, path, body, accept) < 0) {
		*x = (struct exchange){.fd = -1};
		return err_set(err, E2BIG, "the request is too large");
	}
	int r = exchange_open(x, api, &out, err);
	return r < 0 ? r : exchange_body(x, err);
}

int api_call(const struct api *api, const char *method, const char *path,
	const json_t *body, json_t **ret, struct err *err)
{
	_cleanup_(exchange_done) struct exchange x = {.fd = -1};
	json_t *answer = NULL;

	int r = exchange_start(&x, api, method, path, body, NULL, err);
	if (r == 0)
		r = read_json(&x, &answer, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = answer;
	else
		json_decref(answer);
	return 0;
}

int api_get(
	const struct api *api, const char *path, json_t **ret, struct err *err)
{
	json_t *answer = NULL;
	int r = api_call(api, "GET", path, NULL, &answer, err);

	/*
	 * It died while it was asked: a question changes nothing, so the next
	 * coved is asked, once.
	 */
	if (!api->no_start && (r == -EPIPE || r == -ECONNRESET))
		r = api_call(api, "GET", path, NULL, &answer, err);
	if (r < 0)
		return r;
	if (!json_is_object(answer)) {
		json_decref(answer);
		return foreign("no JSON object", err);
	}
	*ret = answer;
	return 0;
}

int api_stream(const struct api *api, const char *method, const char *path,
	const json_t *body, const char *accept, api_piece_fn *fn, void *arg,
	struct err *err)
{
	_cleanup_(exchange_done) struct exchange x = {.fd = -1};
	int r = exchange_start(&x, api, method, path, body, accept, err);

	return r < 0 ? r : read_body(&x, fn, arg, err);
}

int api_put_exec(struct buf *out, const char *sandbox)
{
	_cleanup_free_ char *path = xasprintf("/v1/sandboxes/%s/exec", sandbox);
	int r = http_put_request(out, "POST", path);

	if (r == 0)
		r = http_put_field(out, "Host", "coved");
	if (r == 0)
		r = http_put_field(out, "Connection", "Upgrade");
	if (r == 0)
		r = http_put_field(out, "Upgrade", "cove-stream");
	return r == 0 ? http_put_end(out) : r;
}

int api_take_switch(struct buf *in, struct http_parser *p, struct err *err)
{
	int r = buf_len(in) ? http_parse(p, buf_head(in), buf_len(in)) : 0;

	if (r < 0)
		return foreign(p->why, err);
	if (r == 0)
		return 0;
	if (p->head.status != 101)
		return error_of(NULL, p->head.status, err);
	buf_consume(in, p->head.size);
	return 1;
}

/*
 * coved died while it was asked: nothing runs before the stream is open, so
 * the next coved is asked, once.
 */
static int open_stream(struct exchange *x, const struct api *api,
	const struct buf *out, struct err *err)
{
	int r = exchange_open(x, api, out, err);

	if (api->no_start || (r != -EPIPE && r != -ECONNRESET))
		return r;
	exchange_done(x);
	*x = (struct exchange){.fd = -1};
	return exchange_open(x, api, out, err);
}

int api_exec(const struct api *api, const char *sandbox, const struct buf *ask,
	int *ret_fd, struct buf *early, struct err *err)
{
	_cleanup_(exchange_done) struct exchange x = {.fd = -1};
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, REQUEST_MAX);
	if (api_put_exec(&out, sandbox) < 0)
		return err_set(err, EINVAL, "'%s' is no sandbox name", sandbox);
	if (ask && buf_put(&out, buf_head(ask), buf_len(ask)) < 0)
		return err_set(err, E2BIG, "the request is too large");
	int r = open_stream(&x, api, &out, err);
	if (r < 0)
		return r;
	if (x.parser.head.status != 101) {
		r = exchange_body(&x, err);
		return r < 0 ? r : foreign("no stream", err);
	}
	buf_consume(&x.in, x.parser.head.size);
	if (buf_len(&x.in) &&
		buf_put(early, buf_head(&x.in), buf_len(&x.in)) < 0)
		return foreign("too large", err);
	*ret_fd = TAKE_FD(x.fd);
	return 0;
}
