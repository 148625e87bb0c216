/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/job.h"

#include "daemon/spawn.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define JOB_LINE_MAX (64u * 1024u)

struct job {
	struct list link;
	struct daemon *d;
	char *key;
	struct proc_id id;
	int pidfd;
	int out_fd;
	int err_fd;
	struct watch end;
	struct watch out;
	struct watch errs;
	struct buf line;
	char last[200]; /* the last line on stderr, for the error text */
	struct progress now;
	bool said_result;
	bool theirs;    /* see job.h */
	struct err err; /* what the program said, if it failed */
	struct list watchers;
	struct task free_task;
};

static void copy_text(char *dst, size_t size, const char *src, size_t len)
{
	size_t n = MIN(len, size - 1);

	for (size_t i = 0; i < n; i++)
		dst[i] =
			(uint8_t)src[i] < 0x20 || src[i] == 0x7f ? ' ' : src[i];
	dst[n] = '\0';
}

static void tell(struct job *j)
{
	list_for_each_safe (it, &j->watchers) {
		struct job_watcher *w =
			list_entry(it, struct job_watcher, link);

		if (w->progress)
			w->progress(w, &j->now);
	}
}

static void take_text(json_t *obj, const char *key, char *dst, size_t size)
{
	json_t *v = json_object_get(obj, key);

	if (json_is_string(v))
		copy_text(
			dst, size, json_string_value(v), json_string_length(v));
}

static void take_count(json_t *obj, const char *key, uint64_t *ret)
{
	json_int_t v = json_integer_value(json_object_get(obj, key));

	*ret = v > 0 ? (uint64_t)v : 0;
}

static void handle_line(struct job *j, const char *s, size_t len)
{
	_cleanup_json_ json_t *obj = NULL;
	json_t *e;

	if (len == 0 || json_read(s, len, &obj, NULL) < 0 ||
		!json_is_object(obj))
		return; /* a program's stray output is not ours to judge */
	e = json_object_get(obj, "error");
	if (e) {
		j->err.code = EIO;
		copy_text(j->err.text, sizeof(j->err.text),
			json_is_string(e) ? json_string_value(e)
					  : "unknown failure",
			json_is_string(e) ? json_string_length(e) : 15);
		return;
	}
	if (json_object_get(obj, "result")) {
		j->said_result = true;
		return;
	}
	take_text(obj, "step", j->now.step, sizeof(j->now.step));
	take_text(obj, "text", j->now.text, sizeof(j->now.text));
	take_count(obj, "done", &j->now.done);
	take_count(obj, "total", &j->now.total);
	tell(j);
}

/* 1: something was read, 0: the stream ended, -EAGAIN: nothing now. */
static int read_lines(struct job *j)
{
	ssize_t n = buf_read_fd(&j->line, j->out_fd, 4096);
	const uint8_t *p, *nl;
	size_t len;

	if (n == -ENOBUFS) {
		buf_clear(&j->line); /* no line is that long */
		return 1;
	}
	if (n <= 0)
		return n == -EAGAIN || n == -EINTR ? -EAGAIN : 0;
	while ((len = buf_len(&j->line)) > 0) {
		p = buf_head(&j->line);
		nl = memchr(p, '\n', len);
		if (!nl)
			break;
		handle_line(j, (const char *)p, (size_t)(nl - p));
		buf_consume(&j->line, (size_t)(nl - p) + 1);
	}
	return 1;
}

/* Keeps the last line of the program's stderr; returns as read_lines(). */
static int read_errors(struct job *j)
{
	char text[1024];
	ssize_t n = read(j->err_fd, text, sizeof(text));
	const char *from;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN
								    : 0;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	from = memrchr(text, '\n', (size_t)n);
	from = from ? from + 1 : text;
	if (n > 0)
		copy_text(j->last, sizeof(j->last), from,
			(size_t)(text + n - from));
	return 1;
}

static void on_out(struct loop *l, struct watch *w, uint32_t events)
{
	struct job *j = container_of(w, struct job, out);

	if (read_lines(j) == 0)
		loop_unwatch(l, w);
}

static void on_errs(struct loop *l, struct watch *w, uint32_t events)
{
	struct job *j = container_of(w, struct job, errs);

	if (read_errors(j) == 0)
		loop_unwatch(l, w);
}

static void job_free(struct job *j)
{
	struct loop *l = &j->d->loop;

	loop_unwatch(l, &j->end);
	loop_unwatch(l, &j->out);
	loop_unwatch(l, &j->errs);
	closep(&j->pidfd);
	closep(&j->out_fd);
	closep(&j->err_fd);
	list_del(&j->link);
	buf_done(&j->line);
	free(j->key);
	free(j);
}

static void free_later(struct loop *l, struct task *t)
{
	job_free(container_of(t, struct job, free_task));
}

/* Exit status of a child by its pidfd; reaps it. */
static int reap(int pidfd, siginfo_t *si)
{
	memset(si, 0, sizeof(*si));
	return waitid(P_PIDFD, (id_t)pidfd, si, WEXITED | WNOHANG) < 0 ? -errno
								       : 0;
}

static int result_of(struct job *j, struct err *err)
{
	siginfo_t si;

	if (reap(j->pidfd, &si) < 0)
		return err_set(err, EIO, "%s: lost track of it", j->key);
	if (j->err.code)
		return err_set(err, j->err.code, "%s: %s", j->key, j->err.text);
	if (si.si_code != CLD_EXITED)
		return err_set(err, EIO, "%s: killed by signal %d", j->key,
			si.si_status);
	if (si.si_status != 0)
		return err_set(err, EIO, "%s: %s (exit status %d)", j->key,
			j->last[0] ? j->last : "failed", si.si_status);
	return 0;
}

static void on_end(struct loop *l, struct watch *w, uint32_t events)
{
	struct job *j = container_of(w, struct job, end);
	struct err err = {0};
	int r;

	/* What it wrote before it ended is in the pipes. */
	while (j->out.active && read_lines(j) == 1)
		;
	while (j->errs.active && read_errors(j) == 1)
		;
	r = result_of(j, &err);
	if (r < 0)
		log_warn("job failed job=%s: %s", j->key, err.text);
	if (store_proc_clear(j->d->store, j->key, &err) < 0)
		log_warn("%s", err.text);
	loop_unwatch(l, &j->end);
	list_del(&j->link);
	while (!list_empty(&j->watchers)) {
		struct job_watcher *jw =
			list_entry(j->watchers.next, struct job_watcher, link);

		list_del(&jw->link);
		jw->done(jw, r, &err);
	}
	loop_defer(l, &j->free_task, free_later);
}

static struct job *find(const struct daemon *d, const char *key)
{
	list_for_each (it, &d->jobs) {
		struct job *j = list_entry(it, struct job, link);

		if (streq(j->key, key))
			return j;
	}
	return NULL;
}

bool job_running(const struct daemon *d, const char *key_prefix)
{
	list_for_each (it, &d->jobs) {
		struct job *j = list_entry(it, struct job, link);

		if (strncmp(j->key, key_prefix, strlen(key_prefix)) == 0)
			return true;
	}
	return false;
}

static int record(void *arg, const struct proc_id *id, struct err *err)
{
	struct job *j = arg;

	return store_proc_put(j->d->store, j->key, JOB_OWNER, id, err);
}

static int open_pipe(int *ret_rd, int *ret_wr, struct err *err)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start a helper");
	(void)fd_nonblock(fd[0], true);
	*ret_rd = fd[0];
	*ret_wr = fd[1];
	return 0;
}

/* Our own umask is strict; what helpers make becomes files of the guest. */
static int set_umask(void *arg)
{
	umask(022);
	return 0;
}

/* A file in memory that nobody else can open by name. */
static int open_input(const char *text, int *ret, struct err *err)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!text)
		return 0;
	fd = memfd_create("input", MFD_CLOEXEC);
	r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(err, -r, "start a helper");
	*ret = TAKE_FD(fd);
	return 0;
}

static int run(struct job *j, const struct job_start *js, struct err *err)
{
	const char *const *argv = js->argv;
	_cleanup_close_ int in = -1;
	_cleanup_close_ int out_wr = -1;
	_cleanup_close_ int err_wr = -1;
	struct loop *l = &j->d->loop;
	int r;

	r = open_pipe(&j->out_fd, &out_wr, err);
	if (r == 0)
		r = open_pipe(&j->err_fd, &err_wr, err);
	r = r ? r : open_input(js->input, &in, err);
	if (r < 0)
		return r;
	struct spawn sp = {
		.path = argv[0],
		.argv = argv,
		.stdin_fd = in,
		.stdout_fd = out_wr,
		.stderr_fd = err_wr,
		.prepare = set_umask,
	};
	r = spawn_child(&sp, record, j, &j->id, &j->pidfd, err);
	if (r < 0)
		return r;
	r = loop_watch(l, &j->end, j->pidfd, EPOLLIN, on_end);
	if (r == 0)
		r = loop_watch(l, &j->out, j->out_fd, EPOLLIN, on_out);
	if (r == 0)
		r = loop_watch(l, &j->errs, j->err_fd, EPOLLIN, on_errs);
	if (r < 0) {
		(void)kill(-j->id.pid, SIGKILL);
		(void)waitid(P_PIDFD, (id_t)j->pidfd, &(siginfo_t){0}, WEXITED);
		return err_sys(err, -r, "watch a helper");
	}
	return 0;
}

static struct job *job_new(struct daemon *d, const struct job_start *js)
{
	struct job *j = xnew(struct job);

	j->d = d;
	j->key = xstrdup(js->key);
	j->pidfd = j->out_fd = j->err_fd = -1;
	buf_init(&j->line, JOB_LINE_MAX);
	list_init(&j->watchers);
	list_init(&j->link);
	j->theirs = js->theirs;
	copy_text(j->now.step, sizeof(j->now.step), js->step, strlen(js->step));
	copy_text(j->now.text, sizeof(j->now.text), js->text, strlen(js->text));
	return j;
}

int job_join(struct daemon *d, const struct job_start *js,
	struct job_watcher *w, struct err *err)
{
	struct job *j = find(d, js->key);
	int r;

	if (!j) {
		j = job_new(d, js);
		r = run(j, js, err);
		if (r < 0) {
			job_free(j);
			return r;
		}
		list_add_tail(&d->jobs, &j->link);
		log_info("job started job=%s pid=%d", j->key, (int)j->id.pid);
	}
	list_add_tail(&j->watchers, &w->link);
	w->job = j;
	if (w->progress)
		w->progress(w, &j->now);
	return 0;
}

void job_leave(struct job_watcher *w)
{
	struct job *j = w->job;

	if (list_empty(&w->link))
		return; /* it watches nothing */
	list_del(&w->link);
	if (!j->theirs || !list_empty(&j->watchers))
		return;
	log_info("job ended, nobody waits for it job=%s", j->key);
	/* With its children; on_end() has the rest. */
	(void)kill(-j->id.pid, SIGKILL);
}

void job_kill_all(struct daemon *d)
{
	while (!list_empty(&d->jobs)) {
		struct job *j = list_entry(d->jobs.next, struct job, link);

		/* setsid() in spawn made it the leader of its group. */
		(void)kill(-j->id.pid, SIGKILL);
		(void)waitid(P_PIDFD, (id_t)j->pidfd, &(siginfo_t){0}, WEXITED);
		(void)store_proc_clear(d->store, j->key, NULL);
		while (!list_empty(&j->watchers))
			list_del(j->watchers.next);
		job_free(j);
	}
}
