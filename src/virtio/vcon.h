/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcon - the virtio console (virtio 1.2 section 5.3) with its one port: what
 * the guest writes goes to one descriptor, what comes from another goes to the
 * guest. A descriptor that takes no more stops the guest's output, and a guest
 * that takes no more leaves its input where it is; nothing is kept here.
 * Loop's thread. The bytes are the guest's and are never looked at.
 */
#ifndef VIRTIO_VCON_H
#define VIRTIO_VCON_H

#include "base/loop.h"
#include "virtio/dev.h"

#define VCON_Q_INPUT 0u
#define VCON_Q_OUTPUT 1u

struct vcon;

/*
 * in: what the guest reads, -1 for nothing; out: where its output goes. Both
 * are made non-blocking and stay the caller's and open; they may be the same.
 * 0 or -errno.
 */
int vcon_new(struct loop *l, int in, int out, struct vcon **ret);
/* Its queues must be stopped and the loop must not run. */
void vcon_free(struct vcon *c);
struct vdev *vcon_dev(struct vcon *c);

#endif
