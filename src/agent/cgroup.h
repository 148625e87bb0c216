/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup - the workload's place in the guest's cgroup v2 tree, and what strikes
 * there:
 *
 *   /sys/fs/cgroup           the agent and its helpers
 *     sandbox/               the limits: pids.max, memory.max
 *       main/                commands; a leaf, so that sandbox/ may have others
 *
 * memory.max leaves a reserve, so that a workload that takes everything meets
 * the OOM killer inside its cgroup and the agent keeps answering.
 */
#ifndef AGENT_CGROUP_H
#define AGENT_CGROUP_H

#include "base/err.h"
#include "base/loop.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* type: "oom" or "quota.pids"; text is for the user. */
typedef void cgroup_event_fn(void *arg, const char *type, const char *text);

struct cgroup_file {
	struct cgroup *cgroup;
	struct watch watch;
	int fd;          /* owned */
	const char *key; /* the counter in the file */
	uint64_t seen;
	const char *type;
};

struct cgroup {
	int main_fd; /* directory of the leaf, owned; -1 */
	struct cgroup_file files[3];
	cgroup_event_fn *event;
	void *arg;
	uint64_t memory_max;
	uint32_t pids_max;
};

/* 0 or -errno with text; without memory or pids control it goes on. */
int cgroup_setup(struct cgroup *c, struct loop *l, uint32_t pids_max,
	cgroup_event_fn *event, void *arg, struct err *err);

/* A signal to all processes of a group and of those below it. */
void cgroup_signal(int dirfd, int signo);

/* The number behind "key " at the start of a line, or 0. */
uint64_t cgroup_counter(const char *text, const char *key);

#endif
