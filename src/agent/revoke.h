/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revoke - answers the file server's calls to look paths up again
 * (wire/share.h). In a child of its own: a lookup waits for that same server,
 * and the agent must never wait for it. One caller at a time; a new one
 * replaces the child.
 */
#ifndef AGENT_REVOKE_H
#define AGENT_REVOKE_H

#include "agent/spawn.h"
#include "base/loop.h"

struct revoke {
	struct loop *loop;
	struct spawn_env env; /* outside the workload's cgroup */
	int listen_fd;        /* owned; -1 */
	struct watch watch;
	pid_t child; /* 0: none */
};

/* Takes listen_fd over. */
void revoke_init(struct revoke *r, struct loop *l, int listen_fd,
	const struct spawn_env *env);
/*
 * Answers from now on, callers that wait already included. Its children live
 * on in the root directory of this moment. 0 or -errno.
 */
int revoke_start(struct revoke *r);
bool revoke_reaped(struct revoke *r, pid_t pid);

/*
 * The child's work on one stream: until it ends or is damaged. probe_dir is
 * where the exports are seen, on a read-only mount. The server waits for the
 * answers before it lets anything else into the guest, the config included, so
 * this must answer from the start.
 */
void revoke_serve(int fd, const char *probe_dir);
/* Relative, no empty, "." or ".." component. */
bool revoke_path_ok(const char *path);

#endif
