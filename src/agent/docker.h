/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker - the sandbox's own Docker daemon, on first use. The agent owns the
 * socket /run/docker.sock and starts containerd and dockerd when somebody
 * connects, or at once when the store holds a container with a restart policy.
 * dockerd gets the listening socket itself: nothing of the agent is in the way
 * of a request. Until then a sandbox pays for a socket, and nothing else.
 *
 * A stream from the host to PORT_DOCKER is connected to that socket as well
 * (net_relay()): what arrives is for dockerd, the agent looks at none of it.
 *
 * One child (docker_run.c) looks after the two daemons and ends them in order;
 * here is what touches the loop. An image without dockerd has no socket.
 */
#ifndef AGENT_DOCKER_H
#define AGENT_DOCKER_H

#include "agent/net.h"
#include "agent/spawn.h"
#include "base/err.h"
#include "base/loop.h"

#define DOCKER_SOCKET "docker.sock" /* below /run */

struct docker {
	struct loop *loop;
	struct spawn_env env; /* cgroup_fd: that of the daemons, owned */
	int run_fd;           /* /run, owned */
	int modules_fd;       /* pidfd of whoever loads them, owned; -1: done */
	struct watch listen;  /* the socket, owned; fd -1: none */
	struct watch host;    /* PORT_DOCKER, owned; fd -1: none */
	struct net *net;      /* carries the host's streams */
	char *dockerd;        /* its path */
	pid_t child;          /* 0: the daemons do not run */
	bool stopping;
};

/*
 * cgroup_fd is the directory of the commands' cgroup, beside which the daemons
 * get theirs. net is started and borrowed. Takes modules_fd. Without Docker in the image it does nothing.
 */
void docker_init(struct docker *d, struct loop *l, const struct spawn_env *env,
	struct net *net, int modules_fd);
/* The modules and the disk are there: starts it if a container wants that. */
void docker_resume(struct docker *d);
/* True when pid was the child. */
bool docker_reaped(struct docker *d, pid_t pid);
/*
 * The sandbox stops: asks the daemons to end, dockerd first, which ends its
 * containers. False when they do not run, so that there is nothing to wait for.
 */
bool docker_stop(struct docker *d);
/* The time is over: ends what is left in containers, so that dockerd can end. */
void docker_kill_containers(const struct docker *d);
/* After the child: what dockerd could not end any more, shims included. */
void docker_kill_rest(const struct docker *d);

/*
 * True when the text of a container's hostconfig.json asks for a restart. Not
 * a JSON parser: dockerd wrote it, and wrong answers cost a start in vain.
 */
bool docker_wants_restart(const char *hostconfig);
/* The same over a directory of containers, as below /var/lib/docker. */
bool docker_any_restart(const char *dir);

/* docker_run.c: what the child needs; the descriptors are its own. */
struct docker_run {
	const char *dockerd;
	int listen_fd;
	int modules_fd; /* -1: nothing to wait for */
};
_Noreturn void docker_run(const struct docker_run *run);
/* While the daemons run, the copy of runc that is executed: a link to a memfd. */
#define DOCKER_SEALED "/run/cove/docker/runc"

/*
 * dockerd's arguments: those that the user's daemon.json (text) does not set
 * itself, because dockerd refuses what is said twice.
 */
void docker_arguments(
	const char *dockerd, const char *daemon_json, struct strv *ret);
/* An HTTP answer whose JSON message is text with every odd byte replaced. */
void docker_refusal(const char *text, char *dst, size_t size);

#endif
