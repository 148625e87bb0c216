/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define READY_FD 3
#define ANSWER_MAX 4096u

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

/*
 * In the child: a session of its own, no terminal, no signal settings of the
 * caller. What coved says on READY_FD is "ready", or why it is not.
 */
static _Noreturn void become_coved(const char *program, int to)
{
	char *const argv[] = {(char *)(uintptr_t) "coved",
		(char *)(uintptr_t) "--ready-fd", (char *)(uintptr_t) "3",
		NULL};
	sigset_t none;

	setsid();
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* dup2() onto itself would leave it close-on-exec. */
	if ((to == READY_FD ? fd_cloexec(to, false) < 0
			    : dup2(to, READY_FD) < 0) ||
		dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		_exit(127);
	execv(program, argv);
	dprintf(READY_FD, "cannot execute %s: %s", program, strerror(errno));
	_exit(127);
}

/* Its working directory will be /: what is relative would move. */
static void make_absolute(const struct paths *paths)
{
	const char *home = getenv("COVE_HOME");
	const char *libexec = getenv("COVE_LIBEXEC");

	if (home && *home && *home != '/') {
		_cleanup_free_ char *full = xstrdup(paths->run);
		*strrchr(full, '/') = '\0';
		setenv("COVE_HOME", full, 1);
	}
	if (libexec && *libexec && *libexec != '/') {
		_cleanup_free_ char *full = realpath(libexec, NULL);
		if (full)
			setenv("COVE_LIBEXEC", full, 1);
	}
}

static int spawn(const struct paths *paths, const char *program, int *ret_from,
	struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	_cleanup_close_ int from = ends[0];
	_cleanup_close_ int to = ends[1];
	make_absolute(paths);
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "cannot start coved");
	if (pid == 0)
		become_coved(program, to);
	*ret_from = TAKE_FD(from);
	return 0;
}

/* Up to the end of the pipe: coved closes it when it serves, or ends. */
static void read_answer(int fd, char answer[ANSWER_MAX])
{
	size_t len = 0;
	ssize_t n;

	while (len < ANSWER_MAX - 1) {
		n = read(fd, answer + len, ANSWER_MAX - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	while (len && answer[len - 1] == '\n')
		len--;
	answer[len] = '\0';
}

/*
 * Of several that start it at the same moment one does, and the others wait
 * here until it is served. Held as long as the descriptor is open.
 */
static int take_turn(const struct paths *paths, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/start.lock", paths->run);
	_cleanup_close_ int fd = -1;
	int r = paths_make(paths->run, err);

	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot write %s", path);
	while ((r = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_sys(err, errno, "cannot lock %s", path);
	return TAKE_FD(fd);
}

static bool is_served(const struct paths *paths)
{
	_cleanup_close_ int fd = start_connect(paths);

	return fd >= 0;
}

static int start_locked(const struct paths *paths, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	_cleanup_free_ char *log = NULL;
	_cleanup_close_ int from = -1;
	char answer[ANSWER_MAX] = "";
	int r = paths_program("coved", &program, err);

	if (r == 0)
		r = spawn(paths, program, &from, err);
	if (r < 0)
		return r;
	read_answer(from, answer);
	if (streq(answer, "ready"))
		return 0;
	log = start_log_path(paths);
	if (*answer)
		return err_set(err, ECHILD, "coved did not start: %s", answer);
	return err_set(err, ECHILD,
		"coved ended without a word; see %s, or run it in the "
		"foreground: coved --foreground",
		log);
}

int start_daemon(const struct paths *paths, struct err *err)
{
	_cleanup_close_ int turn = take_turn(paths, err);

	if (turn < 0)
		return turn;
	return is_served(paths) ? 0 : start_locked(paths, err);
}
