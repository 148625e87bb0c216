/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dial.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void dial_cancel(struct dial *dl)
{
	int fd = dl->w.active ? dl->w.fd : -1;

	if (!dl->loop)
		return;
	loop_untimer(dl->loop, &dl->late);
	loop_unwatch(dl->loop, &dl->w);
	closep(&fd);
}

static void finish(struct dial *dl, int result)
{
	int fd = dl->w.fd;

	loop_untimer(dl->loop, &dl->late);
	loop_unwatch(dl->loop, &dl->w);
	if (result < 0)
		closep(&fd);
	dl->fn(dl, result < 0 ? result : fd);
}

static void on_late(struct loop *l, struct timer *t)
{
	finish(container_of(t, struct dial, late), -ETIMEDOUT);
}

/* The line so far: 1 "OK <digits>\n", 0 not complete, -EPROTO. */
static int check_answer(const struct dial *dl)
{
	const char *s = dl->text;

	if (memcmp(s, "OK ", MIN(dl->len, 3u)) != 0)
		return -EPROTO;
	if (dl->len == 0 || s[dl->len - 1] != '\n')
		return dl->len < sizeof(dl->text) ? 0 : -EPROTO;
	for (size_t i = 3; i < dl->len - 1; i++)
		if (s[i] < '0' || s[i] > '9')
			return -EPROTO;
	return dl->len > 4 ? 1 : -EPROTO;
}

static void on_answer(struct loop *l, struct watch *w, uint32_t events)
{
	struct dial *dl = container_of(w, struct dial, w);
	char *to = dl->text + dl->len;
	const char *nl;
	ssize_t n = recv(w->fd, to, sizeof(dl->text) - dl->len, MSG_PEEK);
	int r;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* nobody listens on that port of the guest */
		finish(dl, n < 0 ? -errno : -ECONNREFUSED);
		return;
	}
	nl = memchr(to, '\n', (size_t)n);
	n = recv(w->fd, to, nl ? (size_t)(nl - to) + 1 : (size_t)n, 0);
	if (n < 0) {
		finish(dl, -errno);
		return;
	}
	dl->len += (size_t)n;
	r = check_answer(dl);
	if (r != 0)
		finish(dl, r < 0 ? r : 0);
}

int dial_start(struct dial *dl, struct loop *l, const char *run_dir,
	uint32_t port, uint64_t timeout_ms, dial_fn *fn)
{
	_cleanup_close_ int dir =
		open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	char text[32];
	int len, r;

	if (dir < 0)
		return -errno;
	fd = sock_connect_at(dir, "vsock.sock");
	if (fd < 0)
		return fd;
	len = snprintf(text, sizeof(text), "CONNECT %u\n", port);
	if (send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		return -ECONNREFUSED;
	r = fd_nonblock(fd, true);
	if (r == 0)
		r = loop_watch(l, &dl->w, fd, EPOLLIN, on_answer);
	if (r < 0)
		return r;
	(void)TAKE_FD(fd);
	dl->loop = l;
	dl->fn = fn;
	dl->len = 0;
	loop_timer(l, &dl->late, timeout_ms, on_late);
	return 0;
}
