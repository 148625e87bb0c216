/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/calls.h"

#include <errno.h>
#include <sys/eventfd.h>

/* Lives on the caller's stack while it waits. */
struct call {
	struct list link;
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool done;
};

static void finish(struct calls *c, struct call *call, int result)
{
	pthread_mutex_lock(&c->lock);
	call->result = result;
	call->done = true;
	pthread_cond_broadcast(&c->done);
	pthread_mutex_unlock(&c->lock);
}

static struct call *take(struct calls *c)
{
	struct call *call = NULL;

	pthread_mutex_lock(&c->lock);
	if (!list_empty(&c->pending)) {
		call = list_entry(c->pending.next, struct call, link);
		list_del(&call->link);
	}
	pthread_mutex_unlock(&c->lock);
	return call;
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct calls *c = container_of(w, struct calls, watch);
	struct call *call;
	uint64_t n;

	(void)!read(c->fd, &n, sizeof(n));
	while ((call = take(c)))
		finish(c, call, call->fn(call->arg));
}

int calls_init(struct calls *c, struct loop *l)
{
	int r;

	*c = (struct calls){.open = true, .owner = pthread_self()};
	list_init(&c->pending);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->done, NULL);
	c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->fd < 0)
		return -errno;
	r = loop_watch(l, &c->watch, c->fd, EPOLLIN, on_event);
	if (r < 0)
		closep(&c->fd);
	return r;
}

void calls_close(struct calls *c, struct loop *l)
{
	struct call *call;

	if (!c->open)
		return;
	pthread_mutex_lock(&c->lock);
	c->open = false;
	pthread_mutex_unlock(&c->lock);
	while ((call = take(c)))
		finish(c, call, -ECANCELED);
	loop_unwatch(l, &c->watch);
	closep(&c->fd);
}

int calls_run(struct calls *c, int (*fn)(void *arg), void *arg)
{
	struct call call = {.fn = fn, .arg = arg, .result = -ECANCELED};
	uint64_t one = 1;

	if (pthread_equal(pthread_self(), c->owner))
		return fn(arg);
	pthread_mutex_lock(&c->lock);
	if (c->open) {
		list_add_tail(&c->pending, &call.link);
		(void)!write(c->fd, &one, sizeof(one));
		while (!call.done)
			pthread_cond_wait(&c->done, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return call.result;
}
