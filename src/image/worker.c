/* SPDX-License-Identifier: Apache-2.0 */
#include "image/worker.h"

#include "base/fd.h"
#include "jail/jail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* An xz dictionary may ask for 4 GiB; a large tree needs one. */
#define MEMORY_MAX (3 * GIB)

struct answer {
	int code;
	char text[ERR_TEXT_MAX];
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHADOWED
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SHADOWED
#endif

static int limit_memory(struct err *err)
{
#ifndef SHADOWED /* the sanitizer maps terabytes */
	const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};

	if (setrlimit(RLIMIT_AS, &memory) < 0)
		return err_sys(err, errno, "RLIMIT_AS");
#endif
	return 0;
}

static int enter_jail(const struct worker *w, int out, struct err *err)
{
	const struct jail_files none = {.n = 0};
	int keep[WORKER_FDS_MAX + 1];
	int r;

	memcpy(keep, w->keep, sizeof(w->keep));
	keep[w->n_keep] = out;
	r = jail_fds(keep, w->n_keep + 1, err);
	if (r == 0)
		r = jail_enter(&none, 0, err);
	if (r == 0)
		r = limit_memory(err);
	return r ? r : jail_syscalls(JAIL_IMAGE, err);
}

static void run_worker(
	const struct worker *w, int out, void *ret, size_t ret_len)
{
	struct answer a = {0};
	struct err err = {0};
	int r = enter_jail(w, out, &err);

	if (r < 0)
		err_wrap(&err, "cannot jail the archive parser");
	else
		r = w->fn(w->arg, ret, &err);
	a.code = r < 0 ? -r : 0;
	memcpy(a.text, err.text, sizeof(a.text));
	if (fd_write_all(out, &a, sizeof(a)) < 0 ||
		fd_write_all(out, ret, ret_len) < 0)
		_exit(1);
	_exit(0);
}

/* The worker may have been taken over: its text is only shown, cleaned. */
static int take_answer(struct answer *a, struct err *err)
{
	a->text[sizeof(a->text) - 1] = '\0';
	for (char *c = a->text; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (a->code <= 0 || a->code > 4095)
		return a->code ? err_set(err, EBADMSG,
					 "the archive parser "
					 "gave a bad answer")
			       : 0;
	return err_set(err, a->code, "%s", a->text);
}

static int reap(pid_t pid, struct err *err)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waitpid");
	if (WIFSIGNALED(status))
		return err_set(err, EBADMSG,
			"the archive parser was ended by signal %d%s",
			WTERMSIG(status),
			WTERMSIG(status) == SIGABRT
				? " (out of memory, or damaged input)"
				: "");
	return err_set(err, EBADMSG, "the archive parser ended early");
}

int worker_run(
	const struct worker *w, void *ret, size_t ret_len, struct err *err)
{
	_cleanup_close_ int rd = -1, wr = -1;
	pid_t parent = getpid(), pid;
	struct answer a = {0};
	int fds[2], r;

	assert(ret_len <= WORKER_RESULT_MAX);
	memset(ret, 0, ret_len);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	rd = fds[0];
	wr = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		run_worker(w, wr, ret, ret_len);
	}
	closep(&wr);
	r = fd_read_all(rd, &a, sizeof(a));
	if (r == 0)
		r = fd_read_all(rd, ret, ret_len);
	if (r < 0) {
		memset(ret, 0, ret_len);
		kill(pid, SIGKILL);
		return reap(pid, err);
	}
	reap(pid, NULL);
	return take_answer(&a, err);
}
