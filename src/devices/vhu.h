/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhu - serves one virtio device over one connected vhost-user socket. The
 * front end owns guest memory and the transport; we are given descriptors of
 * the memory, of the rings' doorbells and of their interrupts.
 *
 * The front end is not trusted either, because a guest may have taken it
 * over: every message is checked, and one that makes no sense ends the
 * connection. One loop, its thread; devices may raise interrupts from others.
 */
#ifndef DEVICES_VHU_H
#define DEVICES_VHU_H

#include "base/loop.h"
#include "devices/vhu_msg.h"
#include "virtio/dev.h"

struct vhu;

struct vhu_ring {
	struct watch kick; /* unless the device takes kicks itself */
	struct vhu *vhu;
	int kick_fd;
	int call_fd; /* our slot: what is behind it is replaced by dup3 */
	int err_fd;
	struct vq_config cfg; /* guest addresses, set while stopped */
	uint16_t base;        /* where to go on */
	bool has_addr;
	bool enabled;
};

struct vhu {
	struct vdev_host host;
	struct vdev *dev;
	struct loop *loop;
	struct watch watch;
	int sock;
	void (*gone)(
		struct vhu *v); /* the front end left, or broke the rules */
	uint64_t protocol;
	bool no_driver; /* the features it took make no sense */
	struct gmem *gm;
	struct vhu_memory memory; /* to translate user addresses */
	struct vhu_ring ring[VDEV_QUEUES];
	/* the message that is coming in */
	struct vhu_msg msg;
	size_t got;
	int fds[VHU_REGIONS];
	size_t n_fds;
};

extern const struct vdev_host vhu_host;

/* Takes sock over, dev stays the caller's. 0 or -errno. */
int vhu_init(struct vhu *v, struct loop *l, int sock, struct vdev *dev,
	void (*gone)(struct vhu *v));
/* Stops the device's queues; gone() is not called. */
void vhu_done(struct vhu *v);
/*
 * Acts on v->msg and v->fds. 0, 1 with a reply in v->msg, or -errno: the
 * connection must end. Separate from the socket so that it can be tested.
 */
int vhu_handle(struct vhu *v);

#endif
