/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot - from the kernel's handover to a system with the sandbox's own root:
 * modules, disks, overlay, switch of root, the usual mounts. PID 1 only, once,
 * before anything of the workload runs.
 *
 *   DISK_ROOT   EROFS template   lower layer   read-only, shared
 *   DISK_UPPER  ext4             upper layer   the sandbox's own files
 *   DISK_DOCKER ext4             /var/lib/docker: Docker's overlay needs a
 *                                real file system below it
 */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

#include "base/err.h"

#define DOCKER_DIR "/var/lib/docker"

/* 0, or -errno with text; there is nothing to go on with then. */
int boot_kernel(struct err *err); /* modules: the host can be spoken to */
int boot_root(struct err *err);   /* the sandbox's own root and its mounts */
int boot_docker(struct err *err); /* DISK_DOCKER: few commands want it */
/*
 * Everything that was written is on the disks, and they are read-only, when
 * this returns. Processes that still run are no obstacle.
 */
void boot_undo(void);

#endif
