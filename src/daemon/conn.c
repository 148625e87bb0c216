/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/conn.h"

#include "daemon/api.h"
#include "daemon/sandbox.h"

#include "base/fd.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define IN_MAX (HTTP_HEAD_MAX + 16u * 1024u)
#define READ_SIZE (16u * 1024u)

static void on_event(struct loop *l, struct watch *w, uint32_t events);
static void advance(struct conn *c);

static void set_limit(struct conn *c, uint64_t ms)
{
	c->due_ms = ms > 0 ? now_ms() + ms : 0;
}

static void free_later(struct loop *l, struct task *t)
{
	struct conn *c = container_of(t, struct conn, free_task);

	buf_done(&c->in);
	buf_done(&c->out);
	buf_done(&c->body_bytes);
	free(c->parser);
	free(c->head);
	free(c);
}

static void abandon_created(struct conn *c)
{
	while (!list_empty(&c->created)) {
		struct sandbox *sb =
			list_entry(c->created.next, struct sandbox, creator);

		list_del(&sb->creator);
		sandbox_orphaned(sb);
	}
}

/* Off every list; the memory goes after this batch. */
static void retire(struct conn *c)
{
	c->state = CONN_DEAD;
	loop_unwatch(&c->d->loop, &c->w);
	closep(&c->w.fd);
	list_del(&c->link);
	c->d->n_conns--;
	abandon_created(c);
	loop_defer(&c->d->loop, &c->free_task, free_later);
}

void conn_close(struct conn *c)
{
	void *op = c->op;
	void (*gone)(void *) = c->gone;

	if (c->state == CONN_DEAD)
		return;
	conn_unwait(c);
	retire(c);
	if (gone)
		gone(op);
}

void conn_wait(struct conn *c, void *op, void (*gone)(void *op))
{
	assert(!c->op);
	c->op = op;
	c->gone = gone;
}

void conn_unwait(struct conn *c)
{
	c->op = NULL;
	c->gone = NULL;
	c->drained = NULL;
}

static void update_watch(struct conn *c)
{
	uint32_t events = 0;

	if (c->state == CONN_HEAD || c->state == CONN_BODY)
		events |= EPOLLIN;
	if (buf_len(&c->out) > 0)
		events |= EPOLLOUT;
	loop_rewatch(&c->d->loop, &c->w, events);
}

static void next_request(struct conn *c)
{
	free(TAKE_PTR(c->parser));
	free(TAKE_PTR(c->head));
	buf_done(&c->body_bytes);
	c->state = CONN_HEAD;
	set_limit(c, CONN_IDLE_MS);
	list_del(&c->link);
	list_add_tail(&c->d->conns, &c->link);
}

/* False when the connection was closed. */
static bool flush(struct conn *c)
{
	ssize_t n;

	while (buf_len(&c->out) > 0) {
		n = send(c->w.fd, buf_head(&c->out), buf_len(&c->out),
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			conn_close(c);
			return false;
		}
		buf_consume(&c->out, (size_t)n);
		if (c->state == CONN_FLUSH || c->state == CONN_STREAM)
			set_limit(c, CONN_WRITE_MS);
	}
	buf_done(&c->out); /* an idle client holds no memory */
	if (c->state == CONN_STREAM)
		set_limit(c, 0);
	return true;
}

/* Sends what there is; goes on with the next request after the last byte. */
static void push(struct conn *c)
{
	if (!flush(c))
		return;
	if (c->state == CONN_FLUSH && buf_len(&c->out) == 0) {
		if (!c->keep_alive) {
			conn_close(c);
			return;
		}
		next_request(c);
		advance(c);
		return;
	}
	update_watch(c);
}

static void answer(struct conn *c, unsigned status, const char *type,
	const char *body, size_t len)
{
	struct buf *b = &c->out;
	int r = http_put_status(b, status);

	assert(c->state != CONN_STREAM && c->state != CONN_FLUSH);
	conn_unwait(c);
	if (r == 0 && len > 0)
		r = http_put_field(b, "Content-Type", type);
	if (r == 0 && status != 204)
		r = http_put_length(b, len);
	if (r == 0 && !c->keep_alive)
		r = http_put_field(b, "Connection", "close");
	if (r == 0)
		r = http_put_end(b);
	if (r == 0)
		r = buf_put(b, body, len);
	if (r < 0) { /* larger than any answer may be */
		conn_close(c);
		return;
	}
	c->state = CONN_FLUSH;
	set_limit(c, CONN_WRITE_MS);
	push(c);
}

void conn_reply(struct conn *c, unsigned status, json_t *body)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (!body) {
		answer(c, status, "", "", 0);
		return;
	}
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	assert(text);
	len = strlen(text);
	text[len] = '\n'; /* in the place of its NUL */
	answer(c, status, "application/json", text, len + 1);
}

json_t *error_json(const char *code, const char *text)
{
	return json_pack("{s:{s:s, s:o}}", "error", "code", code, "message",
		json_text(text));
}

void conn_error(
	struct conn *c, unsigned status, const char *code, const char *text)
{
	conn_reply(c, status, error_json(code, text));
}

unsigned error_status(int code, const char **ret_code)
{
	static const struct {
		int code;
		unsigned status;
		const char *name;
	} table[] = {
		{EINVAL, 400, "bad_request"},
		{EPERM, 403, "forbidden"},
		{EACCES, 403, "forbidden"},
		{ENOENT, 404, "not_found"},
		{EEXIST, 409, "conflict"},
		{EBUSY, 409, "conflict"},
		{E2BIG, 413, "too_large"},
		{ERANGE, 422, "refused"},
		{EADDRINUSE, 422, "refused"},
		{EADDRNOTAVAIL, 422, "refused"},
		{EOPNOTSUPP, 422, "refused"},
		{ENOSPC, 503, "unavailable"},
		{EDQUOT, 503, "unavailable"},
		{ETIMEDOUT, 503, "unavailable"},
		{EAGAIN, 503, "unavailable"},
		{EIO, 503, "unavailable"},
		{ECONNREFUSED, 503, "unavailable"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].code != code)
			continue;
		*ret_code = table[i].name;
		return table[i].status;
	}
	*ret_code = "internal";
	return 500;
}

void conn_fail(struct conn *c, const struct err *err)
{
	const char *code;
	unsigned status = error_status(err->code, &code);

	conn_error(c, status, code, err->text);
}

int conn_stream(struct conn *c, const char *content_type)
{
	struct buf *b = &c->out;
	int r = http_put_status(b, 200);

	if (r == 0)
		r = http_put_field(b, "Content-Type", content_type);
	if (r == 0)
		r = http_put_field(b, "Transfer-Encoding", "chunked");
	if (r == 0 && !c->keep_alive)
		r = http_put_field(b, "Connection", "close");
	if (r == 0)
		r = http_put_end(b);
	c->state = CONN_STREAM;
	return r;
}

int conn_chunk(struct conn *c, const void *p, size_t len)
{
	int r = http_put_chunk(&c->out, p, len);

	if (r < 0)
		return r;
	if (c->due_ms == 0)
		set_limit(c, CONN_WRITE_MS);
	loop_rewatch(&c->d->loop, &c->w, EPOLLOUT);
	return 0;
}

int conn_chunk_json(struct conn *c, json_t *line)
{
	_cleanup_free_ char *text = json_dumps(line, JSON_COMPACT);
	size_t len;

	json_decref(line);
	assert(text);
	len = strlen(text);
	text[len] = '\n';
	return conn_chunk(c, text, len + 1);
}

void conn_stream_end(struct conn *c)
{
	int r = http_put_last_chunk(&c->out);

	assert(c->state == CONN_STREAM);
	conn_unwait(c);
	if (r < 0) {
		conn_close(c);
		return;
	}
	c->state = CONN_FLUSH;
	set_limit(c, CONN_WRITE_MS);
	push(c);
}

size_t conn_pending(const struct conn *c)
{
	return buf_len(&c->out);
}

int conn_detach(struct conn *c, struct buf *early)
{
	int fd = c->w.fd;

	conn_unwait(c);
	(void)buf_put(early, buf_head(&c->in), buf_len(&c->in));
	loop_unwatch(&c->d->loop, &c->w);
	c->w.fd = -1;
	retire(c);
	return fd;
}

/* A request that is refused before it is understood. */
static void refuse(struct conn *c, unsigned status, const char *text)
{
	c->keep_alive = false;
	c->d->counter++;
	conn_error(
		c, status, status == 413 ? "too_large" : "bad_request", text);
}

static void begin_body(struct conn *c)
{
	const struct http_head *h = &c->parser->head;

	/* What follows a refused upgrade was meant for somebody else. */
	c->keep_alive = h->keep_alive && !h->upgrade;
	http_body_init(&c->body, h);
	buf_init(&c->body_bytes, JSON_BODY_MAX);
	if (h->framing == HTTP_BODY_LENGTH && h->length > JSON_BODY_MAX) {
		refuse(c, 413, "the body is larger than 1 MiB");
		return;
	}
	c->state = CONN_BODY;
	set_limit(c, CONN_BODY_MS);
	if (h->expect_continue && h->framing != HTTP_BODY_NONE) {
		(void)http_put_status(&c->out, 100);
		(void)http_put_end(&c->out);
		(void)flush(c);
	}
}

/* True when it made progress. */
static bool take_head(struct conn *c)
{
	int r;

	if (buf_len(&c->in) == 0)
		return false;
	if (!c->parser) {
		c->parser = xnew(struct http_parser);
		http_parser_init(c->parser, HTTP_REQUEST);
		set_limit(c, CONN_HEAD_MS);
	}
	r = http_parse(c->parser, buf_head(&c->in), buf_len(&c->in));
	if (r == 0)
		return false;
	if (r < 0) {
		refuse(c, c->parser->status, c->parser->why);
		return false;
	}
	c->head = xcalloc(1, c->parser->head.size);
	memcpy(c->head, buf_head(&c->in), c->parser->head.size);
	buf_consume(&c->in, c->parser->head.size);
	http_rebase(&c->parser->head, c->head);
	begin_body(c);
	return c->state == CONN_BODY; /* not refused */
}

static bool take_body(struct conn *c)
{
	const uint8_t *data;
	size_t used, len;
	int r;

	r = http_body_feed(&c->body, buf_head(&c->in), buf_len(&c->in), &used,
		&data, &len);
	if (r < 0) {
		refuse(c, 400, "malformed chunked body");
		return false;
	}
	if (buf_put(&c->body_bytes, data, len) < 0) {
		refuse(c, 413, "the body is larger than 1 MiB");
		return false;
	}
	buf_consume(&c->in, used);
	if (r == 0)
		return used > 0;
	c->state = CONN_BUSY;
	set_limit(c, 0);
	api_dispatch(c);
	return c->state == CONN_HEAD; /* it was answered at once */
}

static bool step(struct conn *c)
{
	if (c->state == CONN_HEAD)
		return take_head(c);
	if (c->state == CONN_BODY)
		return take_body(c);
	return false;
}

/*
 * A request that is answered at once leads to the next one of a pipeline: that
 * is a round of this loop, not a call within the call.
 */
static void advance(struct conn *c)
{
	if (c->advancing)
		return;
	c->advancing = true;
	while (step(c))
		;
	c->advancing = false;
	if (c->state != CONN_DEAD)
		update_watch(c);
}

static void on_readable(struct conn *c)
{
	size_t room = c->in.max - buf_len(&c->in);
	ssize_t n = buf_read_fd(&c->in, c->w.fd, MIN(room, (size_t)READ_SIZE));

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	advance(c);
	if (c->state != CONN_DEAD && buf_len(&c->in) == 0)
		buf_done(&c->in);
}

static void on_writable(struct conn *c)
{
	void (*drained)(void *) = c->drained;

	push(c);
	if (c->state == CONN_STREAM && buf_len(&c->out) == 0 && drained)
		drained(c->op);
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, w);
	bool reading = c->state == CONN_HEAD || c->state == CONN_BODY;

	if (events & EPOLLOUT)
		on_writable(c);
	else if (reading && (events & EPOLLIN))
		on_readable(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		conn_close(c);
}

bool conn_evict(struct daemon *d)
{
	list_for_each (it, &d->conns) {
		struct conn *c = list_entry(it, struct conn, link);

		if (c->state != CONN_HEAD && c->state != CONN_BODY)
			continue;
		conn_close(c);
		return true;
	}
	return false;
}

static void on_sweep(struct loop *l, struct timer *t)
{
	struct daemon *d = container_of(t, struct daemon, sweep);
	uint64_t now = now_ms();

	list_for_each_safe (it, &d->conns) {
		struct conn *c = list_entry(it, struct conn, link);

		if (c->due_ms > 0 && now >= c->due_ms)
			conn_close(c);
	}
	conn_sweep(d);
}

void conn_sweep(struct daemon *d)
{
	if (d->n_conns > 0 && !d->sweep.armed)
		loop_timer(&d->loop, &d->sweep, CONN_SWEEP_MS, on_sweep);
}

void conn_accept(struct daemon *d, int fd)
{
	struct conn *c;

	if (d->n_conns >= d->max_conns && !conn_evict(d)) {
		closep(&fd);
		d->counter++;
		return;
	}
	c = xnew(struct conn);
	c->d = d;
	c->state = CONN_HEAD;
	c->keep_alive = true;
	list_init(&c->created);
	buf_init(&c->in, IN_MAX);
	buf_init(&c->out, CONN_OUT_MAX);
	buf_init(&c->body_bytes, JSON_BODY_MAX);
	if (loop_watch(&d->loop, &c->w, fd, EPOLLIN, on_event) < 0) {
		closep(&fd);
		free(c);
		return;
	}
	list_add_tail(&d->conns, &c->link);
	d->n_conns++;
	set_limit(c, CONN_IDLE_MS);
	conn_sweep(d);
}
