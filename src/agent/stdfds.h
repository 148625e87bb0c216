/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdfds - the descriptors of a new process: pipes, or a terminal for EX_TTY.
 * The agent's ends are non-blocking, the child's are not (they are open files
 * of their own). All are close-on-exec and owned by the struct.
 */
#ifndef AGENT_STDFDS_H
#define AGENT_STDFDS_H

#include "agent/launch.h"
#include "agent/request.h"

struct stdfds {
	struct launch_io child;
	int in;     /* -1 without EX_STDIN */
	int out[2]; /* stdout and stderr; a terminal has only the first */
};

#define STDFDS_NONE                                \
	{                                          \
		{-1, -1, -1, false}, -1, {-1, -1}, \
	}

/* ret must be STDFDS_NONE; call stdfds_done also after a failure. */
int stdfds_open(const struct request *req, struct stdfds *ret);
/* Closes what has not been taken. */
void stdfds_done(struct stdfds *io);

#endif
