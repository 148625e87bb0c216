/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/check.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define OUTPUT_MAX 200u
#define OUTPUT_WAIT_MS 5000

static void (*const all[])(struct checks *) = {
	check_kvm,
	check_qemu,
	check_disk_tools,
	check_image_tools,
	check_subids,
	check_user_namespaces,
	check_landlock,
	check_seccomp,
	check_cgroups,
	check_watches,
	check_files,
	check_memory,
	check_space,
	check_cache,
	check_daemon,
};

void checks_run(struct checks *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		all[i](c);
}

void checks_done(struct checks *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].text);
		free(c->v[i].fix);
	}
	free(c->v);
	c->v = NULL;
	c->n = 0;
}

enum check_level checks_worst(const struct checks *c)
{
	enum check_level worst = CHECK_OK;

	for (size_t i = 0; i < c->n; i++)
		worst = MAX(worst, c->v[i].level);
	return worst;
}

const char *check_word(enum check_level level)
{
	static const char *const words[] = {"ok", "warn", "missing"};

	return words[level];
}

void check_add(struct checks *c, const char *name, enum check_level level,
	const char *fix, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	c->v = xrealloc(c->v, c->n + 1, sizeof(*c->v));
	c->v[c->n++] = (struct check){
		name, level, xstrdup(text), fix ? xstrdup(fix) : NULL};
}

/* An ordinary user's PATH has no sbin, where mke2fs lives. */
char *check_program(const char *name)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *dirs = xasprintf(
		"%s:/usr/local/sbin:/usr/sbin:/sbin", path ? path : "");
	char *save = NULL;

	for (char *dir = strtok_r(dirs, ":", &save); dir;
		dir = strtok_r(NULL, ":", &save)) {
		char *full = xasprintf("%s/%s", dir, name);
		if (access(full, X_OK) == 0)
			return full;
		free(full);
	}
	return NULL;
}

static pid_t spawn_reading(const char *const *argv, int *ret_from)
{
	posix_spawn_file_actions_t fa;
	extern char **environ;
	pid_t pid = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, ends[1], 1);
	posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	int r = posix_spawn(&pid, argv[0], &fa, NULL,
		(char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(ends[1]);
	if (r != 0) {
		close(ends[0]);
		return -1;
	}
	*ret_from = ends[0];
	return pid;
}

/* A line, the end, or five seconds; whatever comes first. */
static size_t read_line(int fd, char line[OUTPUT_MAX + 1])
{
	uint64_t until = now_ms() + OUTPUT_WAIT_MS;
	size_t len = 0;

	while (len < OUTPUT_MAX && !memchr(line, '\n', len)) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		uint64_t now = now_ms();
		if (now >= until || poll(&pfd, 1, (int)(until - now)) <= 0)
			break;
		ssize_t n = read(fd, line + len, OUTPUT_MAX - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return strlen(line);
}

char *check_output(const char *const *argv)
{
	char line[OUTPUT_MAX + 1] = "";
	_cleanup_close_ int from = -1;
	pid_t pid = spawn_reading(argv, &from);

	if (pid < 0)
		return NULL;
	size_t len = read_line(from, line);
	closep(&from);
	/* It has said what we want; one that hangs must not keep us. */
	if (len == 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return len ? xstrdup(line) : NULL;
}

long long check_number(const char *path)
{
	_cleanup_free_ char *text = NULL;

	if (fd_slurp_at(AT_FDCWD, path, 64, &text) <= 0)
		return -1;
	return strtoll(text, NULL, 10);
}
