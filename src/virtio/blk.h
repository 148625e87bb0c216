/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk - the virtio block device (virtio 1.2 section 5.2) on a raw file. No
 * image format: not a byte that the guest can write is ever parsed. Read-only
 * is enforced here, not by the guest.
 *
 * One worker thread serves the one queue, so a slow disk holds up nobody
 * else. start, stop and reset come from the loop's thread; stop waits for the
 * request in hand. A flush is fdatasync; what the guest was told is written
 * survives the death of this process, what it flushed also that of the host.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include "base/err.h"
#include "virtio/dev.h"

#define BLK_SERIAL_MAX 20u

struct blk;

struct blk_stats {
	uint64_t requests;
	uint64_t bytes_read;
	uint64_t bytes_written;
	uint64_t flushes;
	uint64_t errors;  /* answered with an I/O error */
	uint64_t dropped; /* too malformed to answer */
};

/*
 * fd: a regular file or block device, which stays the caller's and open; its
 * size, rounded down to 512 bytes, is the disk's. serial: at most 20 bytes.
 */
int blk_new(int fd, const char *serial, bool read_only, struct blk **ret,
	struct err *err);
/* Its queue must be stopped. Joins the worker. */
void blk_free(struct blk *b);
struct vdev *blk_dev(struct blk *b);
/* Read without a lock. */
void blk_stats(const struct blk *b, struct blk_stats *ret);

#endif
