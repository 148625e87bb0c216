/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmem - the guest's memory as seen by a device: a few regions, each a range
 * of guest-physical addresses backed by one host mapping. gmem_ptr() is the
 * only function of the project that turns a guest address into a pointer.
 *
 * A map never changes once queues use it: a new layout is a new map. Maps are
 * counted, so a request that is still in a worker's hands keeps the pages it
 * writes to mapped. Any thread; addresses and lengths are hostile.
 */
#ifndef VIRTIO_GMEM_H
#define VIRTIO_GMEM_H

#include "base/util.h"

#include <stdatomic.h>

#define GMEM_REGIONS 8u

struct gmem_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	size_t map_len; /* bytes to unmap at the end, 0 when borrowed */
};

struct gmem {
	atomic_uint refs;
	unsigned n;
	struct gmem_region region[GMEM_REGIONS];
};

/* One reference, owned by the caller. */
struct gmem *gmem_new(void);
struct gmem *gmem_ref(struct gmem *gm);
/* NULL is allowed. The last one unmaps what gmem_add_fd() mapped. */
void gmem_unref(struct gmem *gm);
void gmem_unrefp(struct gmem **gm);

/*
 * Adds memory that somebody else maps for longer than this map lives.
 * -EINVAL empty, wrapping or overlapping; -ENOSPC too many regions.
 */
int gmem_add(struct gmem *gm, uint64_t gpa, uint64_t size, void *hva);
/*
 * Maps size bytes of fd at offset, shared and writable, and adds them. The
 * range must lie inside the file now (-EINVAL); fd stays the caller's.
 */
int gmem_add_fd(
	struct gmem *gm, uint64_t gpa, uint64_t size, int fd, uint64_t offset);

/*
 * The len bytes at gpa, or NULL unless they all lie in one region. Zero bytes
 * are nowhere: NULL too.
 */
void *gmem_ptr(const struct gmem *gm, uint64_t gpa, uint64_t len);

#endif
