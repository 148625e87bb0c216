/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_io - one request of the block device: from a descriptor chain to the
 * file and back (virtio 1.2 section 5.2.6). No rings and no threads, so that
 * it can be tested and fuzzed alone. The chain is hostile; the header is
 * copied once and then checked.
 */
#ifndef VIRTIO_BLK_IO_H
#define VIRTIO_BLK_IO_H

#include "virtio/blk.h"

#define BLK_SECTOR 512u
#define BLK_RANGES_MAX 16u /* of one discard or write-zeroes request */

struct blk_io {
	int fd;
	uint64_t sectors;
	bool read_only;
	char serial[BLK_SERIAL_MAX];
	struct blk_stats stats;
};

/* Serves the chain; returns the bytes written into it, status included. */
uint32_t blk_io_serve(struct blk_io *io, const struct vq_chain *c);

#endif
