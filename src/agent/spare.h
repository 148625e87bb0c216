/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare - a child of the agent that is forked ahead of need and waits for the
 * request that it will execute. Copying a process and faulting its pages in
 * again is a third of the time that a short command takes; this way it is over
 * before anybody asks. Loop thread only. The child takes requests from nobody
 * but the agent; that it hangs or is killed costs one command at most.
 */
#ifndef AGENT_SPARE_H
#define AGENT_SPARE_H

#include "agent/spawn.h"

struct spare {
	const struct spawn_env *env; /* borrowed */
	pid_t pid;                   /* 0: none */
	int fd;                      /* owned, its socket; -1 without one */
};

void spare_init(struct spare *s, const struct spawn_env *env);
/* Forks one if there is none; that it cannot is no error. */
void spare_make(struct spare *s);
/*
 * Starts the command of an EXEC request, in the spare child if there is one and
 * it lives, else in a new one. Its pid or -errno. io stays the caller's.
 */
pid_t spare_exec(
	struct spare *s, const struct request *req, const struct spawn_io *io);
/* Lets the child go: what it knows of the configuration is out of date. */
void spare_drop(struct spare *s);
/* True when the reaped process was a waiting spare. */
bool spare_reaped(struct spare *s, pid_t pid);

#endif
