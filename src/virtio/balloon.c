/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/balloon.h"

#include "wire/wire.h"

#include <linux/virtio_balloon.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Queues of features that are not offered have no number (section 5.5.2), so
 * reporting comes right after deflate.
 */
enum { Q_INFLATE, Q_DEFLATE, Q_REPORTING, N_QUEUES };

#define BUDGET 64u    /* chains served for one kick */
#define CONFIG_LEN 8u /* num_pages, actual */

struct balloon {
	struct vdev dev;
	struct loop *loop;
	struct task again;
	uint64_t page;
	uint64_t reported;
	uint8_t config[CONFIG_LEN];
	struct iovec iov[VQ_IOV_MAX];
};

/* Only whole pages of ours: what is around them stays. */
static void give_back(struct balloon *b, const struct iovec *v)
{
	uintptr_t from = (uintptr_t)v->iov_base;
	uintptr_t to = (from + v->iov_len) & ~(uintptr_t)(b->page - 1);

	from = (from + b->page - 1) & ~(uintptr_t)(b->page - 1);
	if (from < to && madvise((void *)from, to - from, MADV_DONTNEED) == 0)
		b->reported += to - from;
}

static void serve_chain(struct balloon *b, unsigned q, const struct vq_chain *c)
{
	for (unsigned i = 0; q == Q_REPORTING && i < c->n_wr; i++)
		give_back(b, &c->wr[i]);
	/* Inflate and deflate are answered; nobody asked for either. */
	(void)vq_push(&b->dev.q[q].vq, c, 0);
}

/* True when the budget ended before the ring. */
static bool serve(struct balloon *b, unsigned q)
{
	struct vq *vq = &b->dev.q[q].vq;
	struct vq_chain c;

	for (unsigned left = BUDGET; left > 0; left--) {
		int r = vq_pop(vq, b->iov, VQ_IOV_MAX, &c);
		if (r < 0)
			vdev_failed(&b->dev, q);
		if (r < 0 || (r == 0 && !vq_kicks_on(vq)))
			return false;
		if (r > 0)
			serve_chain(b, q, &c);
	}
	return true;
}

static void on_again(struct loop *l, struct task *t)
{
	struct balloon *b = container_of(t, struct balloon, again);

	for (unsigned q = 0; q < N_QUEUES; q++)
		vdev_kick(&b->dev, q); /* not those stopped meanwhile */
}

static void kick(struct vdev *d, unsigned q)
{
	struct balloon *b = container_of(d, struct balloon, dev);

	if (serve(b, q))
		loop_defer(b->loop, &b->again, on_again);
	if (vq_should_notify(&d->q[q].vq))
		vdev_notify(d, q);
}

static void config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	memcpy(p, container_of(d, struct balloon, dev)->config + off, len);
}

/* The driver may only say how large the balloon is. */
static void config_write(
	struct vdev *d, uint32_t off, const void *p, uint32_t len)
{
	if (off >= 4)
		memcpy(container_of(d, struct balloon, dev)->config + off, p,
			len);
}

static void reset(struct vdev *d)
{
	memset(container_of(d, struct balloon, dev)->config, 0, CONFIG_LEN);
}

static const struct vdev_ops balloon_ops = {
	.name = "balloon",
	.id = VIRTIO_ID_BALLOON,
	.queue_size = 128,
	.config_read = config_read,
	.config_write = config_write,
	.kick = kick,
	.reset = reset,
};

struct balloon *balloon_new(struct loop *l)
{
	struct balloon *b = xnew(struct balloon);

	b->loop = l;
	b->page = (uint64_t)sysconf(_SC_PAGESIZE);
	b->dev = (struct vdev){.ops = &balloon_ops,
		.features = VDEV_FEATURES |
			1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
			1ull << VIRTIO_BALLOON_F_REPORTING,
		.config_len = CONFIG_LEN,
		.n_queues = N_QUEUES};
	return b;
}

void balloon_free(struct balloon *b)
{
	free(b);
}

struct vdev *balloon_dev(struct balloon *b)
{
	return &b->dev;
}

uint64_t balloon_reported(const struct balloon *b)
{
	return b->reported;
}
