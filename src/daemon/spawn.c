/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/spawn.h"

#include "base/paths.h"
#include "wire/birth.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Where descriptors wait while their final numbers may still be taken. */
#define PARK_FD 100

static void child_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts fd at number to, which is neither close-on-exec nor used by others. */
static int child_place(int fd, int to)
{
	return dup2(fd, to) < 0 ? -errno : 0;
}

static int child_stdio(const struct spawn *sp)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int err_fd = sp->stderr_fd >= 0 ? sp->stderr_fd : null_fd;
	int out_fd = sp->stdout_fd >= 0 ? sp->stdout_fd : err_fd;
	int in_fd = sp->stdin_fd >= 0 ? sp->stdin_fd : null_fd;
	int in, out, err;

	/* Parked first: any of them may sit at 0..2 already. */
	in = fcntl(in_fd, F_DUPFD_CLOEXEC, PARK_FD);
	out = fcntl(out_fd, F_DUPFD_CLOEXEC, PARK_FD);
	err = fcntl(err_fd, F_DUPFD_CLOEXEC, PARK_FD);
	if (in < 0 || out < 0 || err < 0)
		return -errno;
	if (child_place(in, 0) < 0 || child_place(out, 1) < 0 ||
		child_place(err, 2) < 0)
		return -errno;
	return 0;
}

static int child_fds(const struct spawn *sp)
{
	int parked[SPAWN_FDS_MAX];
	unsigned next = 3;
	int r;

	for (size_t i = 0; i < sp->n_fds; i++) {
		parked[i] = fcntl(sp->fds[i], F_DUPFD_CLOEXEC, PARK_FD);
		if (parked[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < sp->n_fds; i++) {
		r = child_place(parked[i], sp->to[i]);
		if (r < 0)
			return r;
		next = MAX(next, (unsigned)sp->to[i] + 1);
	}
	/* Everything else is close-on-exec already; this makes sure of it. */
	(void)syscall(SYS_close_range, next, ~0u, CLOSE_RANGE_CLOEXEC);
	return 0;
}

static void child_main(const struct spawn *sp, int go_fd)
{
	char go;

	child_signals();
	if (setsid() < 0)
		_exit(125);
	go_fd = fcntl(go_fd, F_DUPFD_CLOEXEC, PARK_FD);
	if (child_stdio(sp) < 0 || child_fds(sp) < 0)
		_exit(125);
	/* Nothing happens before the daemon has this process on record. */
	if (read(go_fd, &go, 1) != 1)
		_exit(125);
	if (sp->prepare && sp->prepare(sp->prepare_arg) < 0)
		_exit(125);
	execv(sp->path, (char *const *)(uintptr_t)sp->argv);
	_exit(126);
}

static void abandon(pid_t pid, int pidfd)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (pidfd >= 0)
		close(pidfd);
}

int spawn_child(const struct spawn *sp, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err)
{
	_cleanup_close_ int go_rd = -1;
	_cleanup_close_ int go_wr = -1;
	struct proc_id id;
	int pipe_fd[2], pidfd, r;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return err_sys(err, errno, "start %s", sp->path);
	go_rd = pipe_fd[0];
	go_wr = pipe_fd[1];
	pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "start %s", sp->path);
	if (pid == 0) {
		close(go_wr);
		child_main(sp, go_rd);
	}
	r = proc_id_of(pid, &id);
	pidfd = r < 0 ? r : proc_open(&id);
	if (pidfd < 0) {
		abandon(pid, -1);
		return err_sys(err, -pidfd, "watch %s", sp->path);
	}
	r = record ? record(arg, &id, err) : 0;
	if (r < 0) {
		abandon(pid, pidfd);
		return r;
	}
	if (write(go_wr, "g", 1) != 1) {
		r = errno;
		abandon(pid, pidfd);
		return err_sys(err, r, "start %s", sp->path);
	}
	*ret_id = id;
	*ret_pidfd = pidfd;
	return 0;
}

int spawn_program(const char *name, int birth_sock, const char *log,
	int log_flags, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err)
{
	const char *argv[] = {name, NULL};
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int log_fd = -1;
	int r = paths_program(name, &path, err);

	if (r < 0)
		return r;
	log_fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC | log_flags, 0600);
	if (log_fd < 0)
		return err_sys(err, errno, "create %s", log);
	return spawn_child(&(struct spawn){.path = path,
				   .argv = argv,
				   .stdin_fd = -1,
				   .stdout_fd = -1,
				   .stderr_fd = log_fd,
				   .fds = {birth_sock},
				   .to = {BIRTH_FD},
				   .n_fds = 1},
		record, arg, ret_id, ret_pidfd, err);
}
