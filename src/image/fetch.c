/* SPDX-License-Identifier: Apache-2.0 */
/* cove-image's side of cove-fetch. */
#include "image/fetch.h"

#include "base/fd.h"
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct helper {
	pid_t pid;
	int in;  /* its standard input */
	int out; /* its standard output */
};

static void helper_done(struct helper *h)
{
	closep(&h->in);
	closep(&h->out);
	if (h->pid > 0) {
		kill(h->pid, SIGKILL);
		while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

static _Noreturn void run_helper(
	const char *path, int in, int out, int body, pid_t parent)
{
	char *const argv[] = {(char *)(uintptr_t) "cove-fetch", NULL};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(127);
	if (body == FETCH_BODY_FD ? fd_cloexec(body, false) < 0
				  : dup2(body, FETCH_BODY_FD) < 0)
		_exit(127);
	execv(path, argv);
	_exit(127);
}

static int start(struct helper *h, int body, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int in = -1, out = -1;
	pid_t parent = getpid();
	int fds[2], r = paths_program("cove-fetch", &path, err);

	if (r < 0)
		return r;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	in = fds[0];
	h->in = fds[1];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	h->out = fds[0];
	out = fds[1];
	h->pid = fork();
	if (h->pid < 0)
		return err_sys(err, errno, "fork");
	if (h->pid == 0)
		run_helper(path, in, out, body, parent);
	return 0;
}

/* The helper reads what servers say: its strings end where they must. */
static void tame(struct fetch_reply *r)
{
	r->text[sizeof(r->text) - 1] = '\0';
	r->location[sizeof(r->location) - 1] = '\0';
	r->realm[sizeof(r->realm) - 1] = '\0';
	r->service[sizeof(r->service) - 1] = '\0';
	r->scope[sizeof(r->scope) - 1] = '\0';
	for (char *c = r->text; *c; c++)
		if ((uint8_t)*c < 0x20 || (uint8_t)*c >= 0x7f)
			*c = '?';
}

int fetch(const struct fetch_request *req, int body,
	void (*tick)(void *arg, const struct fetch_reply *now), void *arg,
	struct fetch_reply *ret, struct err *err)
{
	_cleanup_(helper_done) struct helper h = {.in = -1, .out = -1};
	int r = start(&h, body, err);

	if (r < 0)
		return r;
	r = fd_write_all(h.in, req, sizeof(*req));
	closep(&h.in);
	memset(ret, 0, sizeof(*ret));
	while (r == 0 && !ret->done) {
		r = fd_read_all(h.out, ret, sizeof(*ret));
		if (r == 0 && !ret->done && tick)
			tick(arg, ret);
	}
	if (r < 0)
		return err_set(err, EIO, "cove-fetch ended early");
	tame(ret);
	if (ret->code)
		return err_set(err,
			ret->code > 0 && ret->code < 4096 ? ret->code : EIO,
			"%.400s", ret->text);
	return 0;
}
