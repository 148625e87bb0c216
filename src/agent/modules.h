/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules - kernel modules of the initramfs, loaded by number: /modules/NN-name.ko
 * in name order at boot, /modules/late/ when somebody needs them. The files
 * are ours; the workload cannot reach them after the switch of root.
 */
#ifndef AGENT_MODULES_H
#define AGENT_MODULES_H

#include "base/err.h"
#include <sys/types.h>

/*
 * Loads every *.ko of the directory in name order, ending with NN-last.ko (last
 * may be NULL), and removes the files. Missing hardware and modules that are
 * there already are fine; others are logged and passed over. 0 or -errno.
 */
int modules_load(int dirfd, const char *last, struct err *err);
/*
 * Loads what was left for later, in order, up to and including the module named
 * last (all of them when there is none of that name). 0 or -errno.
 */
int modules_load_late(const char *last, struct err *err);
/*
 * Loads the rest in a child of the lowest priority: what a short command does
 * not use, it does not pay for. After the module named last the child calls
 * ready(arg). A pidfd of it for who does want to wait, or -1.
 */
int modules_load_rest(const char *last, void (*ready)(void *arg), void *arg);
/* Somebody wants what they bring: the child may use the processor now. */
void modules_hurry(void);
/*
 * What the kernel starts instead of modprobe while the child is at work, for a
 * module somebody asked for by using it: hurries the child and waits for it.
 */
void modules_wait(void);
/* True when the process was that child. */
bool modules_reaped(pid_t pid);
/* Called at boot: keeps the directory reachable after the switch of root. */
void modules_keep_late(int modules_dirfd);

#endif
