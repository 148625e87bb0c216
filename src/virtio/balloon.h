/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balloon - the virtio balloon (virtio 1.2 section 5.5) for one purpose:
 * free-page reporting. The guest tells which of its memory is free, and the
 * host gets it back until the guest touches it again. The balloon itself is
 * never asked to grow. Loop's thread.
 *
 * The memory must be a private mapping of this process (src/vmm): dropping a
 * page of a shared one would not give it back.
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include "base/loop.h"
#include "virtio/dev.h"

struct balloon;

struct balloon *balloon_new(struct loop *l);
/* Its queues must be stopped and the loop must not run. */
void balloon_free(struct balloon *b);
struct vdev *balloon_dev(struct balloon *b);
/* Bytes given back to the host so far. */
uint64_t balloon_reported(const struct balloon *b);

#endif
