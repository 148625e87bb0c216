/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vq - a split virtqueue, device side (virtio 1.2 section 2.7).
 *
 * The driver shares three arrays with us in guest memory:
 *
 *   descriptors  [addr len flags next] x size   buffers, linked into chains
 *   avail        flags idx ring[size] used_event  heads the driver offers
 *   used         flags idx ring[size] avail_event heads we gave back
 *
 * Everything in them is hostile and may change while we look. So: where the
 * arrays lie and how long they are is copied by vq_start() and frozen until
 * vq_stop(); each descriptor is copied once and only the copy is checked; a
 * walk takes a bounded number of steps; the first nonsense makes the queue
 * broken, and it stays so until it is started again.
 *
 * Not thread-safe: the device serialises calls. Buffers of a popped chain may
 * be used by another thread, which holds a reference on the map and shows the
 * generation it popped under to vq_push(): a queue that was reset in between
 * ignores it.
 */
#ifndef VIRTIO_VQ_H
#define VIRTIO_VQ_H

#include "virtio/gmem.h"

#include <sys/uio.h>

#define VQ_SIZE_MAX 1024u
/* 256 FUSE pages each way would not come in one request: one way + headers. */
#define VQ_IOV_MAX 272u
/* Bytes one chain may hold in one direction. */
#define VQ_BYTES_MAX (256u * 1024u * 1024u)

/* Guest addresses; copied at start. */
struct vq_config {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint16_t size;  /* power of two, at most VQ_SIZE_MAX */
	bool event_idx; /* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;  /* VIRTIO_F_INDIRECT_DESC was negotiated */
};

struct vq {
	struct vq_config cfg;
	struct gmem *gm; /* one reference while live */
	const void *desc;
	uint16_t *avail;
	uint16_t *used;
	uint32_t generation; /* changes at every start and stop */
	uint16_t last_avail; /* next avail entry to pop */
	uint16_t used_idx;   /* next used entry to write */
	uint16_t told_idx;   /* used_idx when the driver was last interrupted */
	bool told_valid;
	bool live;
	bool broken;
};

struct vq_chain {
	struct iovec *rd; /* bytes for us, n_rd parts */
	struct iovec *wr; /* room for our answer, n_wr parts */
	unsigned n_rd;
	unsigned n_wr;
	uint32_t rd_len;
	uint32_t wr_len;
	uint32_t generation;
	uint16_t head;
};

/*
 * Copies the configuration and starts at avail entry last_avail; the used
 * index is read from the ring. -EINVAL when an array is misaligned, outside
 * the memory or of a bad size.
 */
int vq_start(struct vq *q, struct gmem *gm, const struct vq_config *cfg,
	uint16_t last_avail);
/* Returns where to start again. Harmless on a queue that is not live. */
uint16_t vq_stop(struct vq *q);

/*
 * Takes the next chain; its parts are placed in iov[0..n_iov). 1 a chain,
 * 0 none, -EBADMSG the queue is broken, -ENOBUFS the chain has more than n_iov
 * parts (nothing is taken; with n_iov >= VQ_IOV_MAX that is broken, too).
 */
int vq_pop(
	struct vq *q, struct iovec *iov, unsigned n_iov, struct vq_chain *ret);
/* Gives back the n chains popped last, none of which was pushed. */
void vq_unpop(struct vq *q, unsigned n);
/* True when the driver has offered something that was not popped. */
bool vq_pending(const struct vq *q);
/* Returns a chain with len bytes written. False if its generation is over. */
bool vq_push(struct vq *q, const struct vq_chain *c, uint32_t len);
/* Whether the driver wants an interrupt for what was pushed since the last. */
bool vq_should_notify(struct vq *q);
/* Asks the driver not to kick, or to. */
void vq_kicks_off(struct vq *q);
/* Returns true when something came in meanwhile: pop again. */
bool vq_kicks_on(struct vq *q);

/* How many chains the driver has offered in all, modulo 2^16; untrusted. */
uint16_t vq_offered(const struct vq *q);
/* Asks for a kick as soon as more than these were offered. */
void vq_kick_next(struct vq *q, uint16_t offered);

/* Bytes of iov copied to or from p; less than len when iov is shorter. */
size_t vq_iov_read(const struct iovec *iov, unsigned n, void *p, size_t len);
size_t vq_iov_write(
	const struct iovec *iov, unsigned n, const void *p, size_t len);
/*
 * Copies the parts of in[0..n) that cover [skip, skip + len) to out, which has
 * room for n. Returns the number of parts.
 */
unsigned vq_iov_slice(const struct iovec *in, unsigned n, size_t skip,
	size_t len, struct iovec *out);

#endif
