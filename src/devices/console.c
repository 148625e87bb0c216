/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/console.h"

#include "base/fd.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define LAST_CHUNKS 64

/* Moves the newest half to the front, a chunk at a time. */
static void drop_half(struct console *c)
{
	uint64_t from = c->len - MIN(c->len, c->max / 2), to = 0;
	char chunk[4096];

	while (from < c->len) {
		ssize_t n = pread(c->log, chunk, sizeof(chunk), (off_t)from);

		if (n <= 0 || pwrite(c->log, chunk, (size_t)n, (off_t)to) != n)
			break;
		from += (uint64_t)n;
		to += (uint64_t)n;
	}
	c->len = ftruncate(c->log, (off_t)to) < 0 ? c->len : to;
}

/* A full disk costs log lines, not the guest. */
static void append(struct console *c, const char *p, size_t len)
{
	ssize_t n;

	if (c->len + len > c->max)
		drop_half(c);
	n = pwrite(c->log, p, len, (off_t)c->len);
	if (n > 0)
		c->len += (uint64_t)n;
}

/* False when there is nothing more to come. */
static bool copy_some(struct console *c)
{
	ssize_t n = read(c->in, c->chunk, sizeof(c->chunk));

	if (n > 0)
		append(c, c->chunk, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_output(struct loop *l, struct watch *w, uint32_t events)
{
	struct console *c = container_of(w, struct console, watch);

	if (!copy_some(c))
		loop_unwatch(l, w);
}

int console_init(
	struct console *c, struct loop *l, int in, int log, uint64_t max)
{
	struct stat st;
	int r = fd_nonblock(in, true);

	memset(c, 0, sizeof(*c));
	c->loop = l;
	c->in = in;
	c->log = log;
	c->max = max;
	if (r == 0 && fstat(log, &st) < 0)
		r = -errno;
	if (r == 0) {
		c->len = (uint64_t)st.st_size;
		r = loop_watch(l, &c->watch, in, EPOLLIN, on_output);
	}
	if (r < 0)
		console_done(c);
	return r;
}

/* The guest's last words may still be on their way in the socket. */
static void copy_rest(struct console *c)
{
	struct pollfd p = {.fd = c->in, .events = POLLIN};

	for (int i = 0; i < LAST_CHUNKS; i++)
		if (poll(&p, 1, 0) <= 0 || !copy_some(c))
			return;
}

void console_done(struct console *c)
{
	if (c->watch.active)
		copy_rest(c);
	loop_unwatch(c->loop, &c->watch);
	closep(&c->in);
	closep(&c->log);
}
