/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

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

/* In the child: what coved says before it serves goes into the pipe. */
static _Noreturn void become_coved(const char *program, int to)
{
	char *const argv[] = {(char *)(uintptr_t) "coved",
		(char *)(uintptr_t) "--background", NULL};
	sigset_t none;

	/* Nothing of the caller's signals stays. */
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (dup2(null, 0) < 0 || dup2(to, 1) < 0 || dup2(to, 2) < 0)
		_exit(127);
	execv(program, argv);
	dprintf(2, "coved: cannot execute %s: %s\n", program, strerror(errno));
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

static pid_t spawn(const struct paths *paths, const char *program,
	int *ret_from, struct err *err)
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
	return pid;
}

/* Up to the end of the pipe: coved closes it when it serves, or ends. */
static void read_answer(int fd, char answer[ANSWER_MAX])
{
	size_t len = 0;
	char more[256];
	ssize_t n;

	for (;;) {
		if (len < ANSWER_MAX - 1)
			n = read(fd, answer + len, ANSWER_MAX - 1 - len);
		else
			n = read(fd, more, sizeof(more));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (len < ANSWER_MAX - 1)
			len += (size_t)n;
	}
	while (len && answer[len - 1] == '\n')
		len--;
	answer[len] = '\0';
}

/* The last thing it said, without its own name before it. */
static const char *reason(const char *answer)
{
	static const char name[] = "coved: ";
	const char *found = answer;

	for (const char *p = answer; (p = strstr(p, name)); p++)
		if (p == answer || p[-1] == '\n')
			found = p + strlen(name);
	return found;
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
	_cleanup_close_ int from = -1;
	char answer[ANSWER_MAX] = "";
	int status = -1;

	int r = paths_program("coved", &program, err);
	if (r < 0)
		return r;
	pid_t pid = spawn(paths, program, &from, err);
	if (pid < 0)
		return (int)pid;
	read_answer(from, answer);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (is_served(paths))
		return 0;
	_cleanup_free_ char *log = start_log_path(paths);
	if (*reason(answer))
		return err_set(
			err, ECHILD, "coved did not start: %s", reason(answer));
	return err_set(err, ECHILD,
		"coved %s without a word; see %s, or run it in the "
		"foreground: cove daemon start --foreground",
		WIFSIGNALED(status) ? "died" : "ended", log);
}
