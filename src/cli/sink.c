/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sink.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int open_again(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void sink_init(struct sink *s, int fd)
{
	struct stat st;

	*s = (struct sink){.fd = fd, .own = -1, .kind = SINK_PLAIN};
	if (fstat(fd, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode))
		s->kind = SINK_SOCKET;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	/* Refused for a terminal of another user (su), or without /proc. */
	s->own = open_again(fd);
	s->kind = s->own < 0 ? SINK_SHARED : SINK_OWN;
	if (s->own >= 0)
		s->fd = s->own;
}

void sink_done(struct sink *s)
{
	closep(&s->own);
	s->fd = -1;
}

/* POLLOUT promises PIPE_BUF bytes; more could block. */
static ssize_t write_shared(int fd, const void *p, size_t len)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};

	if (poll(&pfd, 1, 0) <= 0)
		return -EAGAIN;
	ssize_t n = write(fd, p, MIN(len, (size_t)PIPE_BUF));
	return n < 0 ? -errno : n;
}

ssize_t sink_write(struct sink *s, const void *p, size_t len)
{
	ssize_t n;

	if (s->kind == SINK_SHARED)
		return write_shared(s->fd, p, len);
	do {
		if (s->kind == SINK_SOCKET)
			n = send(s->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = write(s->fd, p, len);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
