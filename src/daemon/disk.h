/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk - a sandbox's disks: sparse copies of an empty ext4 that cove-image
 * formatted once per size, $cache/disks/ext4-<bytes>-<kind>.img. Nothing is
 * formatted on the start path of the second sandbox. Trusted paths; loop thread
 * only.
 */
#ifndef DAEMON_DISK_H
#define DAEMON_DISK_H

#include "daemon/job.h"

/*
 * What must be free before a sandbox is made: the store can then note what
 * becomes of it, and the guest can boot.
 */
#define DISK_ROOM (32 * MIB)

#define DISK_KIND_UPPER "upper"   /* with the directories of an overlay */
#define DISK_KIND_DOCKER "docker" /* empty */

/* 1 the base image is there, 0 it must be made first, -errno. */
int disk_base_ready(const struct daemon *d, const char *kind, uint64_t size,
	struct err *err);
/* Makes it, as a job. */
int disk_base_make(struct daemon *d, const char *kind, uint64_t size,
	struct job_watcher *w, struct err *err);
/* dir/name becomes an empty disk of that size. -ENOSPC leaves nothing. */
int disk_copy(const struct daemon *d, const char *kind, uint64_t size,
	int dirfd, const char *name, struct err *err);
/* -ENOSPC when the state's file system has less than DISK_ROOM left. */
int disk_room(const struct daemon *d, struct err *err);
/* Bytes that the file occupies; 0 when it is not there. */
uint64_t disk_used(int dirfd, const char *name);
/* Copies the data and the holes of a regular file. */
int disk_copy_fd(int from, int to, uint64_t size);

#endif
