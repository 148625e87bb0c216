/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/vcon.h"

#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>

/* Chains of one round; the rest waits for the loop's next turn. */
#define BUDGET 64

struct vcon {
	struct vdev dev;
	struct loop *loop;
	struct task again;
	struct watch in_watch;
	struct watch out_watch; /* while out is full */
	int in;
	int out;         /* our own copy, so that both can be watched */
	size_t out_done; /* bytes of the first chain that are written */
	struct iovec iov[VQ_IOV_MAX];
	struct iovec part[VQ_IOV_MAX];
};

static struct vq *queue(struct vcon *c, unsigned q)
{
	return &c->dev.q[q].vq;
}

static int pop(struct vcon *c, unsigned q, struct vq_chain *ret)
{
	int r = vq_pop(queue(c, q), c->iov, VQ_IOV_MAX, ret);

	if (r < 0)
		vdev_failed(&c->dev, q);
	return r;
}

static void on_room(struct loop *l, struct watch *w, uint32_t events);

/* True when out took the whole chain; else the chain is given back. */
static bool write_chain(struct vcon *c, const struct vq_chain *chain)
{
	while (c->out_done < chain->rd_len) {
		unsigned n = vq_iov_slice(chain->rd, chain->n_rd, c->out_done,
			chain->rd_len, c->part);
		ssize_t k = writev(c->out, c->part, (int)n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN) {
			vq_unpop(queue(c, VCON_Q_OUTPUT), 1);
			return false;
		}
		/* Nobody reads any more: the guest goes on without. */
		c->out_done += k < 0 ? chain->rd_len : (size_t)k;
	}
	c->out_done = 0;
	return true;
}

/* True when there is more to do at once. */
static bool run_output(struct vcon *c)
{
	struct vq *q = queue(c, VCON_Q_OUTPUT);
	struct vq_chain chain;

	for (int i = 0; i < BUDGET; i++) {
		int r = pop(c, VCON_Q_OUTPUT, &chain);

		if (r <= 0)
			return r == 0 && vq_kicks_on(q);
		if (!write_chain(c, &chain)) {
			if (!c->out_watch.active)
				(void)loop_watch(c->loop, &c->out_watch, c->out,
					EPOLLOUT, on_room);
			return false;
		}
		vq_push(q, &chain, 0);
	}
	return true;
}

static void run_again(struct loop *l, struct task *t);

static void serve_output(struct vcon *c)
{
	struct vq *q = queue(c, VCON_Q_OUTPUT);

	if (!q->live || q->broken || c->out_watch.active)
		return;
	vq_kicks_off(q);
	if (run_output(c))
		loop_defer(c->loop, &c->again, run_again);
	if (vq_should_notify(q))
		vdev_notify(&c->dev, VCON_Q_OUTPUT);
}

static void run_again(struct loop *l, struct task *t)
{
	serve_output(container_of(t, struct vcon, again));
}

static void on_room(struct loop *l, struct watch *w, uint32_t events)
{
	loop_unwatch(l, w);
	serve_output(container_of(w, struct vcon, out_watch));
}

/* One buffer's worth; without a buffer, input is not watched. */
static void on_input(struct loop *l, struct watch *w, uint32_t events)
{
	struct vcon *c = container_of(w, struct vcon, in_watch);
	struct vq *q = queue(c, VCON_Q_INPUT);
	struct vq_chain chain;
	ssize_t n;
	int r = pop(c, VCON_Q_INPUT, &chain);

	if (r <= 0) {
		if (r < 0 || !vq_kicks_on(q))
			loop_unwatch(l, w);
		return;
	}
	n = readv(c->in, chain.wr, (int)chain.n_wr);
	if (n > 0) {
		vq_push(q, &chain, (uint32_t)n);
		if (vq_should_notify(q))
			vdev_notify(&c->dev, VCON_Q_INPUT);
		return;
	}
	vq_unpop(q, 1);
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		loop_unwatch(l, w);
		c->in = -1; /* the end */
	}
}

static void watch_input(struct vcon *c)
{
	struct vq *q = queue(c, VCON_Q_INPUT);

	if (c->in < 0 || c->in_watch.active || !vq_pending(q))
		return;
	vq_kicks_off(q);
	(void)loop_watch(c->loop, &c->in_watch, c->in, EPOLLIN, on_input);
}

static void kick(struct vdev *d, unsigned q)
{
	struct vcon *c = container_of(d, struct vcon, dev);

	if (q == VCON_Q_OUTPUT)
		serve_output(c);
	else
		watch_input(c);
}

static void queue_start(struct vdev *d, unsigned q)
{
	(void)vq_kicks_on(&d->q[q].vq);
	kick(d, q);
}

static void queue_stop(struct vdev *d, unsigned q)
{
	struct vcon *c = container_of(d, struct vcon, dev);

	loop_unwatch(c->loop, q == VCON_Q_INPUT ? &c->in_watch : &c->out_watch);
}

static void reset(struct vdev *d)
{
	container_of(d, struct vcon, dev)->out_done = 0;
}

static const struct vdev_ops vcon_ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.queue_size = 256,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.kick = kick,
	.reset = reset,
};

int vcon_new(struct loop *l, int in, int out, struct vcon **ret)
{
	_cleanup_close_ int own = fcntl(out, F_DUPFD_CLOEXEC, 0);
	struct vcon *c;
	int r = own < 0 ? -errno : fd_nonblock(own, true);

	if (r == 0 && in >= 0)
		r = fd_nonblock(in, true);
	if (r < 0)
		return r;
	c = xnew(struct vcon);
	c->dev = (struct vdev){
		.ops = &vcon_ops, .features = VDEV_FEATURES, .n_queues = 2};
	c->loop = l;
	c->in = in;
	c->out = TAKE_FD(own);
	*ret = c;
	return 0;
}

void vcon_free(struct vcon *c)
{
	if (!c)
		return;
	if (c->again.queued)
		list_del(&c->again.link);
	loop_unwatch(c->loop, &c->in_watch);
	loop_unwatch(c->loop, &c->out_watch);
	closep(&c->out);
	free(c);
}

struct vdev *vcon_dev(struct vcon *c)
{
	return &c->dev;
}
