/* SPDX-License-Identifier: Apache-2.0 */
/* What happened in a sandbox: its events, and what its console printed. */
#include "daemon/api.h"

#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define PIECE (64u * 1024u)

struct follow {
	struct observer obs;
	struct conn *c;
	struct sandbox *sb;
	struct loop *l;
	bool console;
	bool follow;
	int fd; /* console.log, -1 when it is not there */
	off_t pos;
	struct watch ino; /* inotify on console.log; fd -1 */
	struct task step;
	bool ended;
};

void api_events(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);

	if (sb)
		conn_reply(rq->c, 200,
			json_pack("{s:o}", "events",
				api_events_json(sb, STORE_EVENTS_MAX)));
}

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct follow, step));
}

static void follow_end(struct follow *f)
{
	if (f->ended)
		return;
	f->ended = true;
	if (f->sb)
		sandbox_leave(&f->obs);
	loop_unwatch(f->l, &f->ino);
	closep(&f->ino.fd);
	closep(&f->fd);
	loop_defer(f->l, &f->step, free_later);
}

static void on_gone(void *op)
{
	follow_end(op);
}

static void finish(struct follow *f)
{
	struct conn *c = f->c;

	follow_end(f);
	conn_stream_end(c);
}

/* The client does not keep up with what it asked for. */
static void give_up(struct follow *f)
{
	struct conn *c = f->c;

	follow_end(f);
	conn_unwait(c);
	conn_close(c);
}

static int put_event(struct follow *f, const struct event *e)
{
	char time[48];
	_cleanup_free_ char *line = NULL;

	time_format(e->time_ns, time, sizeof(time));
	line = xasprintf("%s %s %s\n", time, e->type, e->text);
	return conn_chunk(f->c, line, strlen(line));
}

static void put_stored(void *arg, const struct event *e)
{
	(void)put_event(arg, e);
}

static int open_console(struct follow *f)
{
	_cleanup_free_ char *run = sandbox_run_dir(f->sb);
	_cleanup_free_ char *path = xasprintf("%s/console.log", run);

	f->fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	f->pos = 0;
	if (f->fd >= 0 && f->ino.active)
		(void)inotify_add_watch(f->ino.fd, path, IN_MODIFY);
	return f->fd;
}

/* One piece while the client has room; false when there is nothing new. */
static bool put_console(struct follow *f)
{
	char *piece;
	struct stat st;
	ssize_t n;
	int r;

	if (f->fd < 0 || conn_pending(f->c) > PIECE || fstat(f->fd, &st) < 0)
		return false;
	/* The log was cut at its cap: what is left begins anew. */
	if (st.st_size < f->pos)
		f->pos = 0;
	piece = (char *)f->c->d->scratch;
	n = pread(f->fd, piece, PIECE, f->pos);
	if (n <= 0)
		return false;
	f->pos += n;
	r = conn_chunk(f->c, piece, (size_t)n);
	if (r < 0)
		give_up(f);
	return r == 0;
}

static void on_drained(void *op)
{
	struct follow *f = op;

	if (f->console && put_console(f))
		return;
	if (!f->follow && !f->ended)
		finish(f);
}

static void on_inotify(struct loop *l, struct watch *w, uint32_t events)
{
	struct follow *f = container_of(w, struct follow, ino);
	char text[4096];

	while (read(w->fd, text, sizeof(text)) > 0)
		;
	(void)put_console(f);
}

static void on_note(
	struct observer *o, struct sandbox *sb, enum sandbox_note note)
{
	struct follow *f = container_of(o, struct follow, obs);

	if (note == NOTE_REMOVED) {
		finish(f);
		return;
	}
	if (note == NOTE_EVENT && !f->console &&
		put_event(f, &sb->last_event) < 0) {
		give_up(f);
		return;
	}
	/* A new run has a new log. */
	if (note == NOTE_STATE && f->console && sb->state == SB_RUNNING) {
		struct stat a, b;
		_cleanup_free_ char *run = sandbox_run_dir(sb);
		_cleanup_free_ char *path = xasprintf("%s/console.log", run);

		if (f->fd >= 0 && fstat(f->fd, &a) == 0 &&
			stat(path, &b) == 0 && a.st_ino == b.st_ino)
			return;
		closep(&f->fd);
		(void)open_console(f);
		(void)put_console(f);
	}
}

static void begin_console(struct follow *f)
{
	int fd = f->follow ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;

	if (fd >= 0 && loop_watch(f->l, &f->ino, fd, EPOLLIN, on_inotify) < 0)
		closep(&fd);
	(void)open_console(f);
	if (!put_console(f) && !f->follow && !f->ended)
		finish(f);
}

static void begin_events(struct follow *f)
{
	(void)store_event_each(f->sb->d->store, f->sb->row.id, STORE_EVENTS_MAX,
		put_stored, f, NULL);
	if (!f->follow)
		finish(f);
}

/* "events" (the default) or "console". */
static int read_source(struct request *rq, bool *ret_console)
{
	char value[16] = "";
	int r = http_query(rq->head, "source", value, sizeof(value));

	*ret_console = streq(value, "console");
	if (r == 0 || *ret_console || (r == 1 && streq(value, "events")))
		return 0;
	conn_error(rq->c, 400, "bad_request",
		"source must be 'events' or 'console'");
	return -EINVAL;
}

void api_logs(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);
	struct follow *f;
	bool console, follow;

	if (!sb || read_source(rq, &console) < 0 ||
		api_flag(rq, "follow", &follow) < 0)
		return;
	if (rq->head->minor == 0) {
		conn_error(rq->c, 400, "bad_request", "logs need HTTP/1.1");
		return;
	}
	f = xnew(struct follow);
	f->c = rq->c;
	f->sb = sb;
	f->l = &rq->d->loop;
	f->console = console;
	f->follow = follow;
	f->fd = f->ino.fd = -1;
	f->obs.fn = on_note;
	conn_wait(rq->c, f, on_gone);
	rq->c->drained = on_drained;
	sandbox_observe(sb, &f->obs);
	(void)conn_stream(rq->c, "text/plain; charset=utf-8");
	if (console)
		begin_console(f);
	else
		begin_events(f);
}
