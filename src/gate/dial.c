/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/dial.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

struct attempt {
	struct watch w;
	struct dial *d;
	struct address addr;
	bool open;
};

struct dial {
	struct loop *loop;
	struct attempt attempts[DIAL_MAX];
	size_t n;
	size_t next;
	size_t n_open;
	uint16_t port;
	int last; /* -errno of the last failure */
	uint64_t began_ms;
	dial_fn *fn;
	void *arg;
	struct timer timer;
	struct task free_task;
};

static void step(struct dial *d);

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct dial, free_task));
}

static void close_attempt(struct dial *d, struct attempt *a)
{
	if (!a->open)
		return;
	loop_unwatch(d->loop, &a->w);
	closep(&a->w.fd);
	a->open = false;
	d->n_open--;
}

static void end(struct dial *d)
{
	for (size_t i = 0; i < d->n; i++)
		close_attempt(d, &d->attempts[i]);
	loop_untimer(d->loop, &d->timer);
	loop_defer(d->loop, &d->free_task, free_later);
}

void dial_cancel(struct dial *d)
{
	if (d)
		end(d);
}

static void fail(struct dial *d, int r)
{
	dial_fn *fn = d->fn;
	void *arg = d->arg;

	end(d);
	fn(arg, r, NULL);
}

static void connected(struct dial *d, struct attempt *a)
{
	const struct address addr = a->addr;
	int fd = a->w.fd, one = 1;
	dial_fn *fn = d->fn;
	void *arg = d->arg;

	loop_unwatch(d->loop, &a->w);
	a->open = false;
	d->n_open--;
	end(d);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	fn(arg, fd, &addr);
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct attempt *a = container_of(w, struct attempt, w);
	struct dial *d = a->d;
	int e = 0;
	socklen_t len = sizeof(e);

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e == 0 && (events & EPOLLOUT)) {
		connected(d, a);
		return;
	}
	d->last = e ? -e : -ECONNRESET;
	close_attempt(d, a);
	step(d);
}

static socklen_t sockaddr_of(
	const struct address *a, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (address_is_v4(a)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a->b + 12, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, a->b, 16);
	return sizeof(*v6);
}

static int begin(struct dial *d, struct attempt *a)
{
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_of(&a->addr, d->port, &ss);
	_cleanup_close_ int fd = socket(
		ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 &&
		errno != EINPROGRESS)
		return -errno;
	r = loop_watch(d->loop, &a->w, fd, EPOLLOUT, on_event);
	if (r < 0)
		return r;
	(void)TAKE_FD(fd);
	a->open = true;
	d->n_open++;
	return 0;
}

static void on_timer(struct loop *l, struct timer *t)
{
	struct dial *d = container_of(t, struct dial, timer);

	if (now_ms() - d->began_ms >= DIAL_LIMIT_MS) {
		fail(d, -ETIMEDOUT);
		return;
	}
	step(d);
}

/* One more attempt; or the end when nothing is left to wait for. */
static void step(struct dial *d)
{
	while (d->next < d->n) {
		int r = begin(d, &d->attempts[d->next++]);

		if (r == 0)
			break;
		d->last = r;
	}
	if (d->n_open == 0)
		fail(d, d->last);
	else
		loop_timer(d->loop, &d->timer,
			d->next < d->n ? DIAL_STEP_MS : DIAL_LIMIT_MS,
			on_timer);
}

/* IPv6 first, then in turns, each family in the resolver's order. */
static void sort(struct dial *d, const struct address *addrs, size_t n)
{
	bool used[DIAL_MAX] = {false};
	bool want_v4 = false;

	for (; d->n < n; want_v4 = !want_v4) {
		for (size_t i = 0; i < n; i++) {
			if (used[i] || address_is_v4(&addrs[i]) != want_v4)
				continue;
			used[i] = true;
			d->attempts[d->n].d = d;
			d->attempts[d->n++].addr = addrs[i];
			break;
		}
	}
}

struct dial *dial_new(struct loop *loop, const struct address *addrs, size_t n,
	uint16_t port, dial_fn *fn, void *arg)
{
	struct dial *d = xnew(struct dial);

	assert(n > 0 && n <= DIAL_MAX);
	d->loop = loop;
	d->port = port;
	d->fn = fn;
	d->arg = arg;
	d->last = -EHOSTUNREACH;
	d->began_ms = now_ms();
	sort(d, addrs, n);
	loop_timer(loop, &d->timer, 0, on_timer);
	return d;
}
