/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - the rooms of the guest put together: one loop, one thread. PID 1 of
 * the guest, so it also reaps whatever is left behind.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include "agent/cgroup.h"
#include "agent/control.h"
#include "agent/docker.h"
#include "agent/net.h"
#include "agent/revoke.h"
#include "agent/server.h"
#include "agent/ssh.h"

struct agent {
	struct loop loop;
	struct config config;
	struct spawn_env env;
	struct server server;
	struct control control;
	struct revoke revoke;
	struct cgroup cgroup;
	struct net net;
	struct docker docker;
	struct ssh ssh;
	int modules_fd; /* of modules_load_rest(), for docker_init() */
	struct timer stop_timer;
	bool booted; /* boot_root() */
	bool stopping;
	bool forced;    /* SIGKILL was sent to all but Docker's daemons */
	bool killed;    /* and to all */
	bool disk_full; /* reported, until there is room again */
	bool docker_full;
};

/* After boot_kernel(): serves until the host ends it, then powers off. */
_Noreturn void agent_run(struct agent *a);

#endif
