/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules - kernel modules of the initramfs, loaded by number: /modules/NN-name.ko
 * in name order at boot, /modules/late/ when somebody needs them. The files
 * are ours; the workload cannot reach them after the switch of root.
 */
#ifndef AGENT_MODULES_H
#define AGENT_MODULES_H

#include "base/err.h"

/*
 * Loads every *.ko of the directory in name order and removes the files.
 * Missing hardware and modules that are there already are fine; others are
 * logged and passed over. Modules loaded, or -errno.
 */
int modules_load(int dirfd, struct err *err);
/*
 * Loads what was left for later (networking, Docker), once; further calls do
 * nothing. 0 or -errno.
 */
int modules_load_late(struct err *err);
/* Called at boot: keeps the directory reachable after the switch of root. */
void modules_keep_late(int modules_dirfd);

#endif
