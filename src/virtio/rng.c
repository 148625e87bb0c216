/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/rng.h"

#include <string.h>
#include <sys/random.h>

/* Buffers served for one kick; the rest waits for the loop's next turn. */
#define BUDGET 64u

struct rng {
	struct vdev dev;
	struct loop *loop;
	struct task again;
	struct iovec iov[VQ_IOV_MAX];
};

/* A short answer is a good answer: the driver asks again. */
static uint32_t fill(const struct vq_chain *c)
{
	uint8_t bytes[RNG_REQUEST_MAX];
	size_t want = MIN(c->wr_len, sizeof(bytes));
	ssize_t got = getrandom(bytes, want, 0);
	size_t n = 0;

	if (got > 0)
		n = vq_iov_write(c->wr, c->n_wr, bytes, (size_t)got);
	explicit_bzero(bytes, sizeof(bytes));
	return (uint32_t)n;
}

static void on_again(struct loop *l, struct task *t);

/* True when the budget ended before the ring. */
static bool serve(struct rng *g)
{
	struct vq *vq = &g->dev.q[0].vq;
	struct vq_chain c;
	int r;

	for (unsigned left = BUDGET; left > 0; left--) {
		r = vq_pop(vq, g->iov, VQ_IOV_MAX, &c);
		if (r < 0)
			vdev_failed(&g->dev, 0);
		if (r < 0 || (r == 0 && !vq_kicks_on(vq)))
			return false;
		if (r > 0)
			(void)vq_push(vq, &c, fill(&c));
	}
	return true;
}

static void kick(struct vdev *d, unsigned q)
{
	struct rng *g = container_of(d, struct rng, dev);

	if (serve(g))
		loop_defer(g->loop, &g->again, on_again);
	if (vq_should_notify(&d->q[0].vq))
		vdev_notify(d, 0);
}

static void on_again(struct loop *l, struct task *t)
{
	struct rng *g = container_of(t, struct rng, again);

	vdev_kick(&g->dev, 0); /* nothing when it was stopped meanwhile */
}

static const struct vdev_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.queue_size = 64,
	.kick = kick,
};

struct rng *rng_new(struct loop *l)
{
	struct rng *g = xnew(struct rng);

	g->loop = l;
	g->dev = (struct vdev){
		.ops = &rng_ops, .features = VDEV_FEATURES, .n_queues = 1};
	return g;
}

void rng_free(struct rng *g)
{
	free(g);
}

struct vdev *rng_dev(struct rng *g)
{
	return &g->dev;
}
