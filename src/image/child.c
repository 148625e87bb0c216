/* SPDX-License-Identifier: Apache-2.0 */
#include "image/child.h"

#include "base/buf.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define STDERR_KEEP (16 * KIB)

char *child_find(const char *name)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *all = xstrdup(path ? path : "");

	for (char *save, *dir = strtok_r(all, ":", &save); dir;
		dir = strtok_r(NULL, ":", &save)) {
		_cleanup_free_ char *file = xasprintf("%s/%s", dir, name);

		if (dir[0] == '/' && access(file, X_OK) == 0)
			return TAKE_PTR(file);
	}
	return NULL;
}

/* Only async-signal-safe calls: the parent's memory is shared in no way. */
static void run_child(const char *exe, const char *const *argv, const char *dir,
	int out, int err_fd, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || null < 0)
		_exit(127);
	if (dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(err_fd, STDERR_FILENO) < 0)
		_exit(127);
	if (dir && chdir(dir) < 0)
		_exit(127);
	execv(exe, (char *const *)(uintptr_t)argv);
	_exit(127);
}

int child_start(const char *const *argv, const char *dir, const char *package,
	struct child *ret, struct err *err)
{
	_cleanup_free_ char *exe = child_find(argv[0]);
	int out[2], errs[2];
	pid_t parent = getpid(), pid;

	if (!exe)
		return err_set(err, ENOENT,
			"%s is not installed; install package %s", argv[0],
			package);
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	if (pipe2(errs, O_CLOEXEC) < 0) {
		closep(&out[0]);
		closep(&out[1]);
		return err_sys(err, errno, "pipe");
	}
	pid = fork();
	if (pid == 0)
		run_child(exe, argv, dir, out[1], errs[1], parent);
	closep(&out[1]);
	closep(&errs[1]);
	if (pid < 0) {
		closep(&out[0]);
		closep(&errs[0]);
		return err_sys(err, errno, "cannot start %s", argv[0]);
	}
	*ret = (struct child){.pid = pid, .out = out[0], .err = errs[0]};
	return 0;
}

static void read_err(struct child *c, child_err_fn *fn, void *arg)
{
	char chunk[4096];
	ssize_t n = read(c->err, chunk, sizeof(chunk));

	if (n > 0 && fn)
		fn(arg, chunk, (size_t)n);
	if (n == 0 || (n < 0 && errno != EINTR))
		closep(&c->err);
}

ssize_t child_read(
	struct child *c, void *p, size_t len, child_err_fn *fn, void *arg)
{
	for (;;) {
		struct pollfd fds[2] = {
			{.fd = c->out, .events = POLLIN},
			{.fd = c->err, .events = POLLIN},
		};
		ssize_t n;

		if (poll(fds, 2, -1) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (fds[1].revents)
			read_err(c, fn, arg);
		if (!fds[0].revents)
			continue;
		n = read(c->out, p, len);
		if (n >= 0 || errno != EINTR)
			return n < 0 ? -errno : n;
	}
}

int child_wait(struct child *c, const char *name, struct err *err)
{
	int status = 0;

	closep(&c->out);
	closep(&c->err);
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", name);
	c->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, ECANCELED, "%s was ended by signal %d",
			name, WTERMSIG(status));
	return err_set(err, EIO, "%s failed with status %d", name,
		WEXITSTATUS(status));
}

void child_kill(struct child *c)
{
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGTERM);
	child_wait(c, "child", NULL);
}

/* Keeps the newest bytes. */
static void keep_tail(struct buf *b)
{
	if (buf_len(b) > b->max / 2)
		buf_consume(b, buf_len(b) - b->max / 2);
}

/* Reads both pipes to their ends; -EFBIG when stdout exceeds its maximum. */
static int drain(struct child *c, struct buf *out, struct buf *errs)
{
	struct pollfd p[2] = {
		{.fd = c->out, .events = POLLIN},
		{.fd = c->err, .events = POLLIN},
	};
	struct buf *to[2] = {out, errs};

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		for (int k = 0; k < 2; k++) {
			ssize_t n;

			if (p[k].fd < 0 || !p[k].revents)
				continue;
			n = buf_read_fd(to[k], p[k].fd, 4096);
			if (n == -ENOBUFS)
				return -EFBIG;
			if (n == 0 || (n < 0 && n != -EINTR && n != -EAGAIN))
				p[k].fd = -1;
		}
		keep_tail(errs);
	}
	return 0;
}

/* The last line that says something, for the error's text. */
static const char *last_line(struct buf *errs)
{
	char *text, *nl;

	if (buf_put(errs, "", 1) < 0)
		return "";
	text = (char *)errs->data + errs->off;
	while ((nl = strrchr(text, '\n'))) {
		if (nl[1])
			return nl + 1;
		*nl = '\0';
	}
	return text;
}

int child_run(const char *const *argv, const char *dir, const char *package,
	size_t max, char **ret_out, struct err *err)
{
	_cleanup_(buf_done) struct buf out, errs;
	_cleanup_(child_kill) struct child c = {.out = -1, .err = -1};
	int r;

	buf_init(&out, ret_out ? max : MIB);
	buf_init(&errs, STDERR_KEEP);
	r = child_start(argv, dir, package, &c, err);
	if (r < 0)
		return r;
	r = drain(&c, &out, &errs);
	if (r < 0)
		return err_sys(err, -r, "output of %s", argv[0]);
	r = child_wait(&c, argv[0], err);
	if (r < 0 && err) {
		char why[ERR_TEXT_MAX];

		memcpy(why, err->text, sizeof(why));
		return err_set(
			err, -r, "%.100s: %.300s", why, last_line(&errs));
	}
	if (r == 0 && ret_out)
		*ret_out =
			xstrndup((const char *)buf_head(&out), buf_len(&out));
	return r;
}
