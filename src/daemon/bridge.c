/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bridge.h"

#include "base/fd.h"

#include <errno.h>
#include <sys/socket.h>

#define BUDGET (1024u * 1024u) /* bytes per direction and event */

/* One direction: from ends[i] to ends[1 - i]. */
struct flow {
	struct buf pend; /* read, not yet taken by the other side */
	bool eof;        /* nothing more will be read */
	bool done;       /* and its end was passed on */
};

struct end {
	struct bridge *b;
	struct watch w;
	int fd;
	bool gone; /* hung up: readable to its end, never writable again */
};

struct bridge {
	struct list link;
	struct loop *l;
	struct end ends[2];
	struct flow flows[2];
	uint8_t *scratch;
	size_t scratch_size;
	bridge_end_fn *end;
	void *arg;
	struct task free_task;
};

static void on_event(struct loop *l, struct watch *w, uint32_t events);

static void free_later(struct loop *l, struct task *t)
{
	struct bridge *b = container_of(t, struct bridge, free_task);

	for (int i = 0; i < 2; i++)
		buf_done(&b->flows[i].pend);
	free(b);
}

static void finish(struct bridge *b)
{
	list_del(&b->link);
	for (int i = 0; i < 2; i++) {
		loop_unwatch(b->l, &b->ends[i].w);
		closep(&b->ends[i].fd);
	}
	if (b->end)
		b->end(b->arg);
	b->end = NULL;
	loop_defer(b->l, &b->free_task, free_later);
}

/* The receiver is gone: the sender learns it when it writes. */
static void flow_kill(struct bridge *b, int i)
{
	struct flow *f = &b->flows[i];

	if (f->done)
		return;
	buf_done(&f->pend);
	f->eof = f->done = true;
	(void)shutdown(b->ends[i].fd, SHUT_RD);
}

/* 0 all written, -EAGAIN the receiver is full, other -errno it is gone. */
static int flow_flush(struct bridge *b, int i)
{
	struct flow *f = &b->flows[i];
	ssize_t n;

	while (buf_len(&f->pend) > 0) {
		n = send(b->ends[1 - i].fd, buf_head(&f->pend),
			buf_len(&f->pend), MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_consume(&f->pend, (size_t)n);
	}
	buf_done(&f->pend); /* an idle stream holds no memory */
	return 0;
}

/* Reads once and hands on; bytes moved, 0 at the end, -errno. */
static ssize_t flow_move(struct bridge *b, int i)
{
	struct flow *f = &b->flows[i];
	ssize_t n, sent;

	n = recv(b->ends[i].fd, b->scratch, b->scratch_size, 0);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? -EAGAIN : 0;
	if (n == 0)
		return 0;
	do
		sent = send(
			b->ends[1 - i].fd, b->scratch, (size_t)n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		return -EPIPE;
	sent = MAX(sent, (ssize_t)0);
	/* Empty before, and no larger than what it may hold. */
	if (buf_put(&f->pend, b->scratch + sent, (size_t)(n - sent)) < 0)
		return -EPIPE;
	return n;
}

static void flow_pump(struct bridge *b, int i)
{
	struct flow *f = &b->flows[i];
	size_t moved = 0;
	ssize_t n;
	int r;

	while (!f->done) {
		r = flow_flush(b, i);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			flow_kill(b, i);
			return;
		}
		if (f->eof) {
			(void)shutdown(b->ends[1 - i].fd, SHUT_WR);
			f->done = true;
			return;
		}
		/* What a side that is gone has left is bounded and not watched
		 * for: it is read to its end. */
		if (moved >= BUDGET && !b->ends[i].gone)
			return;
		n = flow_move(b, i);
		if (n == -EAGAIN)
			return;
		if (n < 0)
			flow_kill(b, i);
		else if (n == 0)
			f->eof = true;
		else
			moved += (size_t)n;
	}
}

static void update_end(struct bridge *b, int i)
{
	struct end *e = &b->ends[i];
	const struct flow *out = &b->flows[i];
	const struct flow *in = &b->flows[1 - i];
	uint32_t events = 0;

	if (!out->eof && buf_len(&out->pend) == 0)
		events |= EPOLLIN;
	if (!in->done && buf_len(&in->pend) > 0)
		events |= EPOLLOUT;
	/* A hang-up is reported again and again: it is known by now. */
	if (e->gone) {
		loop_unwatch(b->l, &e->w);
		return;
	}
	if (e->w.active)
		loop_rewatch(b->l, &e->w, events);
	else if (loop_watch(b->l, &e->w, e->fd, events, on_event) < 0)
		e->gone = true;
}

static void pump(struct bridge *b)
{
	for (int i = 0; i < 2; i++)
		if (b->ends[i].gone)
			flow_kill(b, 1 - i);
	/* First what is said to a: it learns that its bytes were passed on. */
	flow_pump(b, 1);
	flow_pump(b, 0);
	if (b->flows[0].done && b->flows[1].done) {
		finish(b);
		return;
	}
	update_end(b, 0);
	update_end(b, 1);
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct end *e = container_of(w, struct end, w);

	if (events & (EPOLLHUP | EPOLLERR))
		e->gone = true;
	pump(e->b);
}

int bridge_start(struct loop *l, struct list *list, int fd_a, int fd_b,
	const struct buf *to_b, const struct buf *to_a, uint8_t *scratch,
	size_t scratch_size, bridge_end_fn *end, void *arg)
{
	const struct buf *first[2] = {to_b, to_a};
	struct bridge *b = xnew(struct bridge);
	int fds[2] = {fd_a, fd_b};
	int r = 0;

	b->l = l;
	list_add_tail(list, &b->link);
	b->scratch = scratch;
	b->scratch_size = MIN(scratch_size, (size_t)BRIDGE_PENDING);
	for (int i = 0; i < 2; i++) {
		b->ends[i] = (struct end){.b = b, .fd = fds[i]};
		buf_init(&b->flows[i].pend, BRIDGE_PENDING);
		if (r == 0)
			r = fd_nonblock(fds[i], true);
		if (r == 0 && first[i])
			r = buf_put(&b->flows[i].pend, buf_head(first[i]),
				buf_len(first[i]));
	}
	if (r < 0) {
		finish(b);
		return r;
	}
	b->end = end;
	b->arg = arg;
	pump(b);
	return 0;
}

void bridge_end_all(struct list *list)
{
	while (!list_empty(list))
		finish(list_entry(list->next, struct bridge, link));
}
