/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dockerd's hook "libnetwork-setkey" says to dockerd: the network namespace
 * of a container that is being made. The hook's own arguments are
 *
 *	docker-setkey DOCKERD libnetwork-setkey -exec-root=DIR CONTAINER CONTROLLER
 *
 * and its standard input is the container's state. dockerd listens on
 * DIR/libnetwork/CONTROLLER.sock, takes one object and answers "success" or what
 * is wrong. That is no interface that anybody promised: called in any other way,
 * or without such a socket, this becomes the hook that dockerd meant. It runs as
 * root of the guest, in the guest's own namespaces; dockerd wrote all of it.
 */
#include "agent/docker_spec.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EXEC_ROOT "-exec-root="
#define STATE_MAX (256u * 1024u)
#define ANSWER_MAX 1024u

struct setkey {
	const char *exec_root, *container, *controller;
	pid_t pid;
};

static bool is_id(const char *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *s && s[strspn(s, set)] == '\0';
}

static bool parse(int argc, char **argv, const char *state, struct setkey *ret)
{
	if (argc != 6 || !streq(argv[2], DOCKER_SETKEY) ||
		strncmp(argv[3], EXEC_ROOT, strlen(EXEC_ROOT)) != 0 ||
		!is_id(argv[4]) || !is_id(argv[5]))
		return false;
	ret->exec_root = argv[3] + strlen(EXEC_ROOT);
	ret->container = argv[4];
	ret->controller = argv[5];
	ret->pid = docker_spec_pid(state);
	return ret->pid > 0;
}

static int dial(const struct setkey *k)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int n = snprintf(to.sun_path, sizeof(to.sun_path),
		"%s/libnetwork/%s.sock", k->exec_root, k->controller);

	if (fd < 0 || n < 0 || (size_t)n >= sizeof(to.sun_path) ||
		connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return TAKE_FD(fd);
}

/* The hook's exit status. */
static int say(int fd, const struct setkey *k)
{
	_cleanup_free_ char *text = xasprintf(
		"{\"ContainerID\":\"%s\",\"Key\":\"/proc/%d/ns/net\"}\n",
		k->container, (int)k->pid);
	char answer[ANSWER_MAX + 1] = "";
	ssize_t n;

	if (fd_write_all(fd, text, strlen(text)) < 0)
		return 1;
	/* It comes in one piece; dockerd itself reads no more than once. */
	do
		n = read(fd, answer, ANSWER_MAX);
	while (n < 0 && errno == EINTR);
	if (n > 0 && streq(answer, "success"))
		return 0;
	fprintf(stderr, "failed to set key: %s\n",
		n > 0 ? answer : "dockerd gave no answer");
	return 1;
}

/* It reads the state from standard input, which is read already. */
static _Noreturn void become_dockerd(char **argv, const char *state)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd >= 0 && fd_write_all(fd, state, strlen(state)) == 0 &&
		lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, 0) == 0)
		execv(argv[1], argv + 2);
	fprintf(stderr, "cannot start %s: %s\n", argv[1], strerror(errno));
	_exit(127);
}

_Noreturn void docker_setkey(int argc, char **argv)
{
	_cleanup_free_ char *state = xcalloc(STATE_MAX + 1, 1);
	struct setkey k;
	size_t len = 0;
	ssize_t n;
	int fd;

	if (argc < 3)
		_exit(2);
	while (len < STATE_MAX &&
		(n = read(0, state + len, STATE_MAX - len)) > 0)
		len += (size_t)n;
	if (parse(argc, argv, state, &k)) {
		fd = dial(&k);
		if (fd >= 0)
			_exit(say(fd, &k));
	}
	become_dockerd(argv, state);
}
