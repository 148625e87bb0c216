/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn - starts processes of the workload. Everything that touches the guest's
 * file system (user lookup, directories, the program) happens in the child, so
 * that a hung mount or a fifo in place of /etc/passwd never stops the agent.
 *
 * What cannot be done is said on the child's own stderr, then it exits 126
 * (cannot be executed) or 127 (no such program), as shells do.
 */
#ifndef AGENT_SPAWN_H
#define AGENT_SPAWN_H

#include "agent/account.h"
#include "agent/config.h"
#include "agent/request.h"
#include <sys/types.h>

/* What all children share; borrowed. */
struct spawn_env {
	const struct config *config;
	const char *etc_dir; /* where passwd and group are: "/etc" */
	int cgroup_fd;       /* children are born into it; -1: not moved */
	bool guest;          /* we are PID 1: give stdio to the user */
};

/* Borrowed descriptors; with a terminal all three are its slave. */
struct spawn_io {
	int in;
	int out;
	int err;
	bool tty;
};

/* The child's pid (also its process group and session) or -errno. */
pid_t spawn_exec(const struct spawn_env *env, const struct request *req,
	const struct spawn_io *io);

/*
 * In a child: who the command runs as and with which environment. One that
 * cannot be had ends the process as above.
 */
void spawn_prepare(const struct spawn_env *env, const struct request *req,
	struct account *ret_who, struct strv *ret_env);
/* In a child: becomes the command. Every descriptor but io's is closed. */
_Noreturn void spawn_run(const struct spawn_env *env, const struct request *req,
	const struct spawn_io *io);

/*
 * Forks into the cgroup: 0 in the child, the pid in the parent, -errno. The
 * child has default signals. With keep >= 0 that descriptor becomes number 3
 * and all above are closed; with -1 none is closed.
 */
pid_t spawn_fork(const struct spawn_env *env, int keep);

/* For a forked child: becomes the user of spec (NULL: the default user). */
int spawn_become(const struct spawn_env *env, const char *spec,
	struct account *ret, struct err *err);

/*
 * The environment of a process: defaults, then the sandbox's, then the
 * request's entries; later ones win. Takes over nothing.
 */
void spawn_environ(const struct config *c, const struct request *req,
	const struct account *who, struct strv *ret);
/*
 * Where the program is: as given when it has a '/', else the first match in
 * the directories of path. 0, or -ENOENT, -EACCES. Looks at the real system.
 */
int spawn_lookup(const char *name, const char *path, char **ret);

#endif
