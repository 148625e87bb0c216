/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a sandbox's network: its end, all that comes (follow), and
 * whether somebody changed it (verify). The files are written by gates, which
 * may be lost to an attacker: lines are bounded and parsed again.
 */
#include "daemon/api.h"

#include "daemon/sandbox.h"
#include "tls/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define LOG_TAIL (256u * 1024u)
#define LOG_FILE "net/net.log"
#define LOG_OLD "net/net.log.1"
#define LOG_MAX (6u * 1024u * 1024u) /* twice what a gate writes, about */
#define FOLLOW_MAX 256u              /* sandboxes at once */

static int open_log(const struct sandbox *sb, const char *name)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	return open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* Whole lines of the end of the log. */
static void add_log(struct sandbox *sb, json_t *list)
{
	_cleanup_close_ int fd = open_log(sb, LOG_FILE);
	_cleanup_free_ char *text = xcalloc(1, LOG_TAIL + 1);
	char *line = text, *end;
	struct stat st;
	off_t from;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	from = st.st_size > (off_t)LOG_TAIL ? st.st_size - LOG_TAIL : 0;
	n = pread(fd, text, LOG_TAIL, from);
	if (n > 0 && from > 0 && (end = memchr(text, '\n', (size_t)n)))
		line = end + 1;
	for (; n > 0 && (end = strchr(line, '\n')); line = end + 1) {
		json_t *j = json_loadb(line, (size_t)(end - line), 0, NULL);

		if (j)
			json_array_append_new(list, j);
	}
}

/* ---- follow ---- */

struct file {
	char id[64]; /* of the sandbox */
	int fd;
	ino_t ino;
	off_t pos;
};

struct follow {
	struct conn *c;
	struct daemon *d;
	struct watch ino; /* fd: inotify */
	struct file file[FOLLOW_MAX];
	size_t n;
	struct task free_task;
	bool ended;
};

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct follow, free_task));
}

static void follow_end(struct follow *f)
{
	if (f->ended)
		return;
	f->ended = true;
	for (size_t i = 0; i < f->n; i++)
		closep(&f->file[i].fd);
	loop_unwatch(&f->d->loop, &f->ino);
	closep(&f->ino.fd);
	loop_defer(&f->d->loop, &f->free_task, free_later);
}

static void on_gone(void *op)
{
	follow_end(op);
}

/* Whole lines that are new, while the client takes them. 0 or -errno. */
static int put_lines(struct follow *f, struct file *file)
{
	char *text = (char *)f->d->scratch;
	char *last;
	ssize_t n;
	int r;

	for (;;) {
		if (file->fd < 0 || conn_pending(f->c) > SCRATCH_SIZE)
			return 0;
		n = pread(file->fd, text, SCRATCH_SIZE, file->pos);
		last = n > 0 ? memrchr(text, '\n', (size_t)n) : NULL;
		if (!last)
			return 0;
		file->pos += last + 1 - text;
		r = conn_chunk(f->c, text, (size_t)(last + 1 - text));
		if (r < 0)
			return r;
	}
}

/* The log was turned over, or is there for the first time. */
static int look(struct follow *f, struct file *file)
{
	const struct sandbox *sb = sandbox_find(f->d, file->id);
	_cleanup_close_ int fd = sb ? open_log(sb, LOG_FILE) : -1;
	struct stat st;
	int r = put_lines(f, file);

	if (r < 0 || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(file->fd >= 0 && st.st_ino == file->ino))
		return r;
	closep(&file->fd);
	file->fd = TAKE_FD(fd);
	file->ino = st.st_ino;
	file->pos = 0;
	return put_lines(f, file);
}

static void look_at_all(struct follow *f)
{
	struct conn *c = f->c;

	for (size_t i = 0; i < f->n && !f->ended; i++) {
		if (look(f, &f->file[i]) == 0)
			continue;
		/* It does not keep up with what it asked for. */
		follow_end(f);
		conn_unwait(c);
		conn_close(c);
	}
}

static void on_drained(void *op)
{
	look_at_all(op);
}

static void on_inotify(struct loop *l, struct watch *w, uint32_t events)
{
	struct follow *f = container_of(w, struct follow, ino);
	char text[4096];

	while (read(w->fd, text, sizeof(text)) > 0)
		;
	look_at_all(f);
}

/* Begins at the end of what is there. */
static void add_file(struct follow *f, const struct sandbox *sb)
{
	struct file *file = &f->file[f->n];
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_free_ char *net = xasprintf("%s/net", dir);
	struct stat st;

	if (f->n == FOLLOW_MAX)
		return;
	(void)inotify_add_watch(f->ino.fd, net, IN_MODIFY | IN_CREATE);
	(void)snprintf(file->id, sizeof(file->id), "%s", sb->row.id);
	file->fd = open_log(sb, LOG_FILE);
	if (file->fd >= 0 && fstat(file->fd, &st) == 0) {
		file->ino = st.st_ino;
		file->pos = st.st_size;
	}
	f->n++;
}

static void follow(struct request *rq, const struct sandbox *only)
{
	struct follow *f;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 || rq->head->minor == 0) {
		closep(&fd);
		conn_error(rq->c, 400, "bad_request",
			"to follow the log needs HTTP/1.1 and inotify");
		return;
	}
	f = xnew(struct follow);
	f->c = rq->c;
	f->d = rq->d;
	f->ino.fd = fd;
	conn_wait(rq->c, f, on_gone);
	rq->c->drained = on_drained;
	list_for_each (it, &rq->d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (!only || only == sb)
			add_file(f, sb);
	}
	(void)loop_watch(&rq->d->loop, &f->ino, fd, EPOLLIN, on_inotify);
	(void)conn_stream(rq->c, "application/x-ndjson");
}

void api_policy_log(struct request *rq)
{
	struct sandbox *only;
	json_t *list;
	bool more;

	if (api_query_scope(rq, &only) < 0 || api_flag(rq, "follow", &more) < 0)
		return;
	if (more) {
		follow(rq, only);
		return;
	}
	list = json_array();
	list_for_each (it, &rq->d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (!only || only == sb)
			add_log(sb, list);
	}
	conn_reply(rq->c, 200, json_pack("{s:o}", "entries", list));
}

/* ---- verify ---- */

/* Length, 0 when there is none, -errno. */
static ssize_t slurp(const struct sandbox *sb, const char *name, char **ret)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
	ssize_t n = fd_slurp_at(AT_FDCWD, path, LOG_MAX, ret);

	return n == -ENOENT ? 0 : n;
}

static json_t *verify(const struct sandbox *sb)
{
	static const char *const names[] = {LOG_OLD, LOG_FILE};
	char last[SHA256_HEX] = "";
	uint64_t lines = 0;
	const char *bad = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !bad; i++) {
		_cleanup_free_ char *text = NULL;
		ssize_t n = slurp(sb, names[i], &text);
		uint64_t in_file = 0;

		if (n < 0 ||
			(n > 0 &&
				chain_verify(text, (size_t)n, last, &in_file) <
					0))
			bad = names[i];
		lines += in_file;
	}
	return json_pack("{s:s, s:b, s:I, s:s, s:s}", "sandbox", sb->row.name,
		"intact", !bad, "lines", (json_int_t)lines, "broken_in",
		bad ? bad : "", "last", last);
}

void api_policy_verify(struct request *rq)
{
	struct sandbox *only;
	json_t *list;

	if (api_query_scope(rq, &only) < 0)
		return;
	list = json_array();
	list_for_each (it, &rq->d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (!only || only == sb)
			json_array_append_new(list, verify(sb));
	}
	conn_reply(rq->c, 200, json_pack("{s:o}", "logs", list));
}
