/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs_dev - the virtio file system device (virtio 1.2 section 5.11): requests
 * from the rings to the file server (src/fs) and its answers back.
 *
 * File operations may wait for the host's disk, so they run on worker threads,
 * which take kicks straight from the queues' doorbells: for a guest that does
 * one thing at a time the thread that wakes up is the one that serves, with no
 * hand-over. A worker that sees more requests waiting wakes another one.
 *
 * start, stop and reset come from the loop's thread; stop waits for requests
 * that a worker has in hand, so afterwards nobody touches the guest's memory.
 */
#ifndef VIRTIO_FS_DEV_H
#define VIRTIO_FS_DEV_H

#include "fs/fs.h"
#include "virtio/dev.h"

#define FS_DEV_WORKERS 4u
#define FS_DEV_TAG_MAX 36u

struct fs_dev;

/*
 * tag: what the guest mounts. n_queues: request queues beside the one of high
 * priority. n_workers: at most FS_DEV_WORKERS, and what fs was made for. The
 * server stays the caller's and lives longer. 0 or -errno.
 */
int fs_dev_new(struct fs *fs, const char *tag, unsigned n_queues,
	unsigned n_workers, struct fs_dev **ret);
/* Its queues must be stopped. Joins the workers. */
void fs_dev_free(struct fs_dev *fd);
struct vdev *fs_dev_vdev(struct fs_dev *fd);

#endif
