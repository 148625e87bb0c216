/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share - the directories and the streams of a sandbox, joined: what a program
 * on the host changed in a file is known inside before any byte that it sends
 * (fs_settle()), and the file server gets its own stream to the guest's agent
 * for that. Owned by cove-devices or cove-vmm, whose loop's thread it is.
 */
#ifndef VIRTIO_SHARE_H
#define VIRTIO_SHARE_H

#include "fs/fs.h"
#include "virtio/fs_dev.h"
#include "virtio/vsock.h"
#include "wire/birth.h"

struct share {
	struct loop *loop;
	struct fs *fs; /* NULL: no directories */
	struct fs_dev *fs_dev;
	struct vsock *vsock; /* NULL: no streams */
};

struct share_config {
	uint32_t guest_uid; /* how the caller's ids look in the guest */
	uint32_t guest_gid;
	unsigned n_cpus;
	struct birth_export *exports; /* their descriptors are taken over */
	size_t n_exports;
};

/* Each 0, or -errno with text; share_done() in any case. */
int share_directories(
	struct share *s, const struct share_config *c, struct err *err);
int share_streams(struct share *s, int listen_fd, int run_dir, struct err *err);
/* After the queues have stopped. */
void share_done(struct share *s);

#endif
