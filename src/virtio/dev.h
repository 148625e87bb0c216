/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev - what a virtio device is to its transport, and the transport to it.
 * Devices know neither KVM nor vhost: vhost-user (src/devices) and virtio-mmio
 * (src/vmm) both drive them through this interface.
 *
 *   transport -> device   config space, queue start/stop, kick, reset
 *   device -> transport   interrupt for a queue, "this queue is broken"
 *
 * All calls of the transport come from the loop's thread. A device may raise
 * interrupts from any thread. A queue's life: vdev_queue_start() copies and
 * freezes its configuration, vdev_queue_stop() returns when the device will
 * not touch the ring or its buffers again and says where to go on. Between the
 * two, kicks arrive by vdev_kick(), or, for a device with own_kicks, straight
 * at the eventfd given to start. What must survive a snapshot is in plain
 * fields: features, queue configurations and indices, and the device's own
 * state struct.
 */
#ifndef VIRTIO_DEV_H
#define VIRTIO_DEV_H

#include "virtio/vq.h"

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#define VDEV_QUEUES 10u
/* Every device of ours speaks virtio 1.x with these. */
#define VDEV_FEATURES                                                   \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
		1ull << VIRTIO_RING_F_INDIRECT_DESC)

struct vdev;

/*
 * Implemented by the transport. A device may hold a lock of its own while it
 * calls: none of these calls the device back.
 */
struct vdev_host {
	/* Interrupts the driver for queue q. Any thread. */
	void (*notify)(struct vdev_host *h, unsigned q);
	/* The queue is broken: the device needs a reset. Any thread. */
	void (*failed)(struct vdev_host *h, unsigned q);
};

struct vdev_ops {
	const char *name;
	uint32_t id;         /* VIRTIO_ID_* */
	uint16_t queue_size; /* largest the device takes */
	bool own_kicks;
	/* Copies len bytes at off, which lie inside config_len. */
	void (*config_read)(
		struct vdev *d, uint32_t off, void *p, uint32_t len);
	void (*config_write)(
		struct vdev *d, uint32_t off, const void *p, uint32_t len);
	void (*queue_start)(struct vdev *d, unsigned q);
	void (*queue_stop)(struct vdev *d, unsigned q);
	void (*kick)(struct vdev *d, unsigned q);
	/* The driver forgot everything; queues are stopped. */
	void (*reset)(struct vdev *d);
};

struct vdev_queue {
	struct vq vq;
	int kick_fd; /* the transport's; for devices with own_kicks */
};

/* Embedded in each device; the device fills all but host. */
struct vdev {
	const struct vdev_ops *ops;
	struct vdev_host *host;
	uint64_t features; /* offered */
	uint64_t acked;    /* chosen by the driver, frozen at queue start */
	uint32_t config_len;
	unsigned n_queues;
	struct vdev_queue q[VDEV_QUEUES];
};

/* 0 or -EINVAL: unknown bits, VERSION_1 missing, or a queue is live. */
int vdev_ack_features(struct vdev *d, uint64_t acked);
/* -EINVAL outside the config space; short devices ignore writes. */
int vdev_config_read(struct vdev *d, uint32_t off, void *p, uint32_t len);
int vdev_config_write(
	struct vdev *d, uint32_t off, const void *p, uint32_t len);
/*
 * cfg's feature flags are taken from acked. -EINVAL for a bad queue number or
 * configuration, -EBUSY when it is live.
 */
int vdev_queue_start(struct vdev *d, unsigned q, struct gmem *gm,
	const struct vq_config *cfg, uint16_t last_avail, int kick_fd);
uint16_t vdev_queue_stop(struct vdev *d, unsigned q);
void vdev_kick(struct vdev *d, unsigned q);
void vdev_reset(struct vdev *d);

static inline void vdev_notify(struct vdev *d, unsigned q)
{
	d->host->notify(d->host, q);
}
static inline void vdev_failed(struct vdev *d, unsigned q)
{
	d->host->failed(d->host, q);
}

#endif
