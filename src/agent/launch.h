/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch - starts the command of an exec request. The child shares the agent's
 * memory until it executes: a copy of it, page by page, would be half of what a
 * short command costs. So everything is prepared here, in heap memory that
 * stays until the process has been reaped, and the child makes nothing but
 * system calls. Unlike with vfork the agent goes on at once: a directory or a
 * program on a file system that hangs stops the command, not the agent.
 *
 * What cannot be done is said on the child's own stderr, then it exits 126
 * (cannot be executed) or 127 (no such program), as shells do.
 */
#ifndef AGENT_LAUNCH_H
#define AGENT_LAUNCH_H

#include "agent/spawn.h"

/* Borrowed descriptors; with a terminal all three are its slave. */
struct launch_io {
	int in;
	int out;
	int err;
	bool tty;
};

struct launch;

/*
 * 0 or -errno. The pid is also that of the process group and session. The
 * launch is the caller's: launch_free() it when the process has been reaped,
 * not before.
 */
int launch_start(const struct spawn_env *env, const struct request *req,
	const struct launch_io *io, struct launch **ret, pid_t *ret_pid);
void launch_free(struct launch *l);

#endif
