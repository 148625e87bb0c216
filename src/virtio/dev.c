/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/dev.h"

#include <errno.h>
#include <string.h>

static bool any_live(const struct vdev *d)
{
	for (unsigned i = 0; i < d->n_queues; i++)
		if (d->q[i].vq.live)
			return true;
	return false;
}

int vdev_ack_features(struct vdev *d, uint64_t acked)
{
	if (acked & ~d->features)
		return -EINVAL;
	if (!(acked & 1ull << VIRTIO_F_VERSION_1))
		return -EINVAL;
	if (any_live(d) && acked != d->acked)
		return -EINVAL;
	d->acked = acked;
	return 0;
}

static bool config_inside(const struct vdev *d, uint32_t off, uint32_t len)
{
	return off <= d->config_len && len <= d->config_len - off;
}

int vdev_config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	if (!config_inside(d, off, len))
		return -EINVAL;
	if (len)
		d->ops->config_read(d, off, p, len);
	return 0;
}

int vdev_config_write(struct vdev *d, uint32_t off, const void *p, uint32_t len)
{
	if (!config_inside(d, off, len))
		return -EINVAL;
	if (len && d->ops->config_write)
		d->ops->config_write(d, off, p, len);
	return 0;
}

int vdev_queue_start(struct vdev *d, unsigned q, struct gmem *gm,
	const struct vq_config *cfg, uint16_t last_avail, int kick_fd)
{
	struct vq_config c = *cfg;
	int r;

	if (q >= d->n_queues || c.size > d->ops->queue_size)
		return -EINVAL;
	if (d->q[q].vq.live)
		return -EBUSY;
	c.event_idx = d->acked & 1ull << VIRTIO_RING_F_EVENT_IDX;
	c.indirect = d->acked & 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	r = vq_start(&d->q[q].vq, gm, &c, last_avail);
	if (r < 0)
		return r;
	d->q[q].kick_fd = kick_fd;
	if (d->ops->queue_start)
		d->ops->queue_start(d, q);
	return 0;
}

uint16_t vdev_queue_stop(struct vdev *d, unsigned q)
{
	if (d->q[q].vq.live && d->ops->queue_stop)
		d->ops->queue_stop(d, q);
	d->q[q].kick_fd = -1;
	return vq_stop(&d->q[q].vq);
}

void vdev_kick(struct vdev *d, unsigned q)
{
	if (q < d->n_queues && d->q[q].vq.live && d->ops->kick)
		d->ops->kick(d, q);
}

void vdev_reset(struct vdev *d)
{
	for (unsigned i = 0; i < d->n_queues; i++)
		vdev_queue_stop(d, i);
	if (d->ops->reset)
		d->ops->reset(d);
}
