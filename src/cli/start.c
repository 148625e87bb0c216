/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define READY_FD 3
#define READY_MAX 4096u
#define LOG_TAIL 400
#define LOG_LIMIT (16u * 1024u * 1024u)

int start_connect(const struct paths *paths)
{
	_cleanup_close_ int dir =
		open(paths->run, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	return sock_connect_at(dir, "coved.sock");
}

char *start_log_path(const struct paths *paths)
{
	return xasprintf("%s/coved.log", paths->state);
}

/* A log that has grown large begins anew; the old one is kept once. */
static int open_log(const struct paths *paths, struct err *err)
{
	_cleanup_free_ char *path = start_log_path(paths);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd >= 0 && lseek(fd, 0, SEEK_END) > (off_t)LOG_LIMIT) {
		_cleanup_free_ char *old = xasprintf("%s.1", path);
		(void)rename(path, old);
		close(fd);
		fd = open(
			path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	}
	if (fd < 0)
		return err_sys(err, errno, "cannot write %s", path);
	return fd;
}

/* In the child: nothing of the caller's terminal or job stays. */
static _Noreturn void become_daemon(const char *program, int log, int ready)
{
	char ready_fd[16];
	char *const argv[] = {(char *)(uintptr_t) "coved",
		(char *)(uintptr_t) "--ready-fd", ready_fd, NULL};
	sigset_t none;

	snprintf(ready_fd, sizeof(ready_fd), "%d", READY_FD);
	setsid();
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	/* dup2() onto itself would leave it close-on-exec. */
	if (ready == READY_FD ? fd_cloexec(ready, false) < 0
			      : dup2(ready, READY_FD) < 0)
		_exit(127);
	execv(program, argv);
	dprintf(READY_FD, "cannot execute %s: %s", program, strerror(errno));
	_exit(127);
}

static int spawn(const char *program, int log, int *ret_ready, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	_cleanup_close_ int from = ends[0];
	_cleanup_close_ int to = ends[1];
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "cannot start coved");
	if (pid == 0)
		become_daemon(program, log, to);
	*ret_ready = TAKE_FD(from);
	return 0;
}

/* What coved said, until it closed its end; NUL-terminated. */
static size_t read_answer(int fd, char answer[READY_MAX])
{
	size_t len = 0;

	while (len < READY_MAX - 1) {
		ssize_t n = read(fd, answer + len, READY_MAX - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		answer[len] = '\0';
		if (strncmp(answer, "ready\n", 6) == 0)
			break;
	}
	while (len && answer[len - 1] == '\n')
		len--;
	answer[len] = '\0';
	return len;
}

/* Quotes what the log says after `from`. */
static int died(const struct paths *paths, off_t from, struct err *err)
{
	_cleanup_free_ char *path = start_log_path(paths);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char tail[LOG_TAIL + 1] = "";
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	off_t begin = end - from > LOG_TAIL ? end - LOG_TAIL : from;

	if (end > from && pread(fd, tail, (size_t)(end - begin), begin) > 0)
		return err_set(err, ECHILD,
			"coved did not start; the end of "
			"%s:\n%s",
			path, tail);
	return err_set(err, ECHILD,
		"coved ended before it was ready; see %s, "
		"or run it in the foreground: cove daemon start --foreground",
		path);
}

/* Another cove may have started it at the same moment, and won. */
static bool is_served(const struct paths *paths)
{
	_cleanup_close_ int fd = start_connect(paths);

	return fd >= 0;
}

int start_daemon(const struct paths *paths, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	_cleanup_close_ int log = -1, ready = -1;
	char answer[READY_MAX] = "";

	int r = paths_program("coved", &program, err);
	if (r == 0)
		r = paths_make(paths->state, err);
	if (r < 0)
		return r;
	log = open_log(paths, err);
	if (log < 0)
		return log;
	off_t from = lseek(log, 0, SEEK_END);
	r = spawn(program, log, &ready, err);
	if (r < 0)
		return r;
	size_t n = read_answer(ready, answer);
	if (streq(answer, "ready") || is_served(paths))
		return 0;
	if (n == 0)
		return died(paths, from, err);
	return err_set(err, ECHILD, "coved did not start: %s", answer);
}
