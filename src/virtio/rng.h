/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rng - the virtio entropy device (virtio 1.2 section 5.4): random bytes from
 * the host's kernel, at most RNG_REQUEST_MAX for one buffer. Loop's thread.
 */
#ifndef VIRTIO_RNG_H
#define VIRTIO_RNG_H

#include "base/loop.h"
#include "virtio/dev.h"

#define RNG_REQUEST_MAX 4096u

struct rng;

struct rng *rng_new(struct loop *l);
/* Its queue must be stopped and the loop must not run. */
void rng_free(struct rng *r);
struct vdev *rng_dev(struct rng *r);

#endif
