/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/signalfd.h>

int loop_init(struct loop *l)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	memset(l, 0, sizeof(*l));
	l->epfd = fd;
	l->sig_watch.fd = -1;
	list_init(&l->timers);
	list_init(&l->tasks);
	return 0;
}

void loop_done(struct loop *l)
{
	if (l->sig_watch.active)
		loop_unwatch(l, &l->sig_watch);
	closep(&l->sig_watch.fd);
	closep(&l->epfd);
}

int loop_watch(
	struct loop *l, struct watch *w, int fd, uint32_t events, watch_fn *fn)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	assert(!w->active);
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	*w = (struct watch){fd, events, fn, true};
	return 0;
}

void loop_rewatch(struct loop *l, struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};
	int r;

	assert(w->active);
	if (w->events == events)
		return;
	r = epoll_ctl(l->epfd, EPOLL_CTL_MOD, w->fd, &ev);
	assert(r == 0);
	w->events = events;
}

/*
 * Fails only when the descriptor was closed first. That is a bug: epoll keeps
 * the open file and would go on reporting a watch that may be freed by now.
 */
void loop_unwatch(struct loop *l, struct watch *w)
{
	int r;

	if (!w->active)
		return;
	r = epoll_ctl(l->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	assert(r == 0);
	w->active = false;
	for (int i = 0; i < l->n_batch; i++)
		if (l->batch[i].data.ptr == w)
			l->batch[i].data.ptr = NULL;
}

void loop_timer(
	struct loop *l, struct timer *t, uint64_t delay_ms, timer_fn *fn)
{
	struct list *after;

	loop_untimer(l, t);
	if (!add_ok(now_ms(), delay_ms, &t->due_ms))
		t->due_ms = UINT64_MAX;
	t->fn = fn;
	t->armed = true;
	after = l->timers.prev;
	while (after != &l->timers &&
		list_entry(after, struct timer, link)->due_ms > t->due_ms)
		after = after->prev;
	/* "before the successor" is list_add_tail with it as the head */
	list_add_tail(after->next, &t->link);
}

void loop_untimer(struct loop *l, struct timer *t)
{
	if (!t->armed)
		return;
	list_del(&t->link);
	t->armed = false;
}

void loop_defer(struct loop *l, struct task *t, task_fn *fn)
{
	t->fn = fn;
	if (t->queued)
		return;
	t->queued = true;
	list_add_tail(&l->tasks, &t->link);
}

static void read_signals(struct loop *l, struct watch *w, uint32_t events)
{
	struct signalfd_siginfo si;

	while (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		l->on_signal(l, l->signal_arg, (int)si.ssi_signo);
}

int loop_signals(struct loop *l, const sigset_t *set, signal_fn *fn, void *arg)
{
	_cleanup_close_ int fd = -1;
	int r;

	assert(!l->sig_watch.active);
	if (sigprocmask(SIG_BLOCK, set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = loop_watch(l, &l->sig_watch, fd, EPOLLIN, read_signals);
	if (r < 0)
		return r;
	l->on_signal = fn;
	l->signal_arg = arg;
	(void)TAKE_FD(fd); /* sig_watch.fd owns it now */
	return 0;
}

static int wait_ms(const struct loop *l)
{
	uint64_t now, due;

	if (!list_empty(&l->tasks))
		return 0;
	if (list_empty(&l->timers))
		return -1;
	now = now_ms();
	due = list_entry(l->timers.next, struct timer, link)->due_ms;
	if (due <= now)
		return 0;
	return (int)MIN(due - now, (uint64_t)INT_MAX);
}

/* A stop leaves the rest of the batch: level-triggered events come again. */
static void run_events(struct loop *l)
{
	for (int i = 0; i < l->n_batch && !l->stopped; i++) {
		struct watch *w = l->batch[i].data.ptr;

		if (w)
			w->fn(l, w, l->batch[i].events);
	}
	l->n_batch = 0;
}

static void run_timers(struct loop *l)
{
	uint64_t now = now_ms();

	while (!list_empty(&l->timers) && !l->stopped) {
		struct timer *t =
			list_entry(l->timers.next, struct timer, link);

		if (t->due_ms > now)
			break;
		loop_untimer(l, t);
		t->fn(l, t);
	}
}

/*
 * Also after a stop, because tasks free objects. A task that is queued by a
 * task waits for the next round, so that none can keep the loop to itself.
 */
static void run_tasks(struct loop *l)
{
	struct list now;

	list_init(&now);
	while (!list_empty(&l->tasks)) {
		struct list *it = l->tasks.next;

		list_del(it);
		list_add_tail(&now, it);
	}
	while (!list_empty(&now)) {
		struct task *t = list_entry(now.next, struct task, link);

		list_del(&t->link);
		t->queued = false;
		t->fn(l, t);
	}
}

int loop_run(struct loop *l)
{
	while (!l->stopped) {
		int n = epoll_wait(l->epfd, l->batch, LOOP_BATCH, wait_ms(l));

		if (n < 0 && errno != EINTR)
			return -errno;
		l->n_batch = MAX(n, 0);
		run_events(l);
		run_timers(l);
		run_tasks(l);
	}
	l->stopped = false;
	return l->code;
}

void loop_stop(struct loop *l, int code)
{
	l->stopped = true;
	l->code = code;
}
