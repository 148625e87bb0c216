/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host - what this machine has: processors and memory that this process may
 * use (affinity and cgroup limits count). Read once at the start.
 */
#ifndef DAEMON_HOST_H
#define DAEMON_HOST_H

#include "base/err.h"

struct host {
	uint32_t cpus;
	uint64_t memory;  /* bytes */
	uint64_t boot_ns; /* CLOCK_REALTIME when coved started */
	char boot_id[40]; /* of the kernel; proc ids are only valid within it */
};

int host_read(struct host *ret, struct err *err);

#endif
