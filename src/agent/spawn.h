/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn - what every process of the workload gets: user, groups, environment,
 * cgroup. Commands are started by launch.h; here are the children that go on as
 * a copy of the agent, to copy files.
 */
#ifndef AGENT_SPAWN_H
#define AGENT_SPAWN_H

#include "agent/account.h"
#include "agent/config.h"
#include "agent/request.h"
#include <sys/types.h>

#define SPAWN_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What all children share; borrowed. */
struct spawn_env {
	const struct config *config;
	const char *etc_dir; /* where passwd and group are: "/etc" */
	int cgroup_fd;       /* children are born into it; -1: not moved */
	bool guest;          /* we are PID 1: give stdio to the user */
};

/*
 * Forks into the cgroup: 0 in the child, the pid in the parent, -errno. The
 * child has default signals. With keep >= 0 that descriptor becomes number 3
 * and all above are closed; with -1 none is closed.
 */
pid_t spawn_fork(const struct spawn_env *env, int keep);

/* The user of spec (NULL: the default one). 0 or -errno with text. */
int spawn_account(const struct spawn_env *env, const char *spec,
	struct account *ret, struct err *err);
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
