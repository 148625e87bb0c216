/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spare.h"

#include "base/fd.h"
#include "base/log.h"
#include "wire/agent.h"
#include <errno.h>
#include <sys/socket.h>

#define SOCK 3 /* where spawn_fork() puts it */
#define N_FDS 3u

void spare_init(struct spare *s, const struct spawn_env *env)
{
	*s = (struct spare){.env = env, .fd = -1};
}

/*
 * What the command will need is done once for nothing, so that its pages are
 * there. A file system that hangs would have stopped the command as well.
 */
static void warm_up(const struct spawn_env *env)
{
	static const struct request none;
	struct account who = {0};
	struct strv envv = {0};

	(void)setsid();
	spawn_prepare(env, &none, &who, &envv);
	strv_done(&envv);
	account_done(&who);
}

static _Noreturn void wait_and_run(const struct spawn_env *env)
{
	static uint8_t body[FRAME_MAX];
	struct request req = {0};
	struct spawn_io io;
	int fds[N_FDS];
	size_t n_fds;
	ssize_t n;

	warm_up(env);
	n = sock_recv_fds(SOCK, body, sizeof(body), fds, N_FDS, &n_fds);
	/* The agent is gone, or wants this one no more. */
	if (n <= 0 || n_fds != N_FDS ||
		request_parse(AF_EXEC, body, (size_t)n, &req, NULL) < 0)
		_exit(0);
	io = (struct spawn_io){.in = fds[0],
		.out = fds[1],
		.err = fds[2],
		.tty = req.flags & EX_TTY};
	spawn_run(env, &req, &io);
}

void spare_make(struct spare *s)
{
	int p[2];
	pid_t pid;

	if (s->pid ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p) < 0)
		return;
	pid = spawn_fork(s->env, p[1]);
	if (pid == 0)
		wait_and_run(s->env);
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return;
	}
	s->pid = pid;
	s->fd = p[0];
}

void spare_drop(struct spare *s)
{
	closep(&s->fd);
	s->pid = 0;
}

pid_t spare_exec(
	struct spare *s, const struct request *req, const struct spawn_io *io)
{
	int fds[N_FDS] = {io->in, io->out, io->err};
	pid_t pid = s->pid;
	int r = pid ? sock_send_fds(s->fd, req->body, req->body_len, fds, N_FDS)
		    : -ESRCH;

	spare_drop(s);
	return r == 0 ? pid : spawn_exec(s->env, req, io);
}

bool spare_reaped(struct spare *s, pid_t pid)
{
	if (!s->pid || s->pid != pid)
		return false;
	spare_drop(s);
	return true;
}
