/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - the exec port: accepts streams, reads the one request of each and
 * hands it to a session, to a copying child or to the control room. Works on
 * any listening stream socket. Loop thread only.
 */
#ifndef AGENT_SERVER_H
#define AGENT_SERVER_H

#include "agent/session.h"

#define CONNS_MAX 512u
#define COPIES_MAX 64u

/* CTL_RESUME arrived: fd and the unread input are the callee's. */
typedef void server_resume_fn(void *arg, int fd, struct buf in);

struct server {
	struct loop *loop;
	const struct spawn_env *env;
	struct sessions sessions;
	int listen_fd; /* owned */
	struct watch listen_watch;
	struct list conns;
	unsigned int n_conns;
	pid_t copies[COPIES_MAX]; /* 0: free */
	bool ready; /* requests are refused until the config was applied */
	server_resume_fn *resume;
	void *arg;
};

/* Takes listen_fd over. 0 or -errno. */
int server_init(struct server *s, struct loop *l, int listen_fd,
	const struct spawn_env *env, server_resume_fn *resume, void *arg);
/* Outside loop_run only. */
void server_done(struct server *s);
/* A child was reaped: true when it was one of ours. */
bool server_reaped(struct server *s, pid_t pid, int wstatus);
/* Refuses new requests; what is running goes on. */
void server_close(struct server *s);

#endif
