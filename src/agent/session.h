/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - one process started by EXEC, its stdio and at most one client. It
 * knows frames and a stream, but neither vsock nor listening sockets. Loop
 * thread only; the manager owns every session and frees it when it is over.
 *
 * Output: read from the pipes (or the terminal) straight into a frame and
 * written at once; while the client does not take more, nothing is read.
 *
 * EXIT comes after the last byte of output. The process has ended and the pipes
 * are at their end: at once. A background child keeps a pipe open: what is in it
 * is drained, SESSION_LINGER_MS are given for the end to come, then whatever
 * was in the pipes at that moment is the last output.
 *
 * Life:  client -> running -> ended -> EXIT sent -> freed
 *                     | hung up: SIGHUP, stdio closed, freed when reaped
 *                     | detached: output goes to the replay
 *
 * A session that may be detached is kept after its end until a client that
 * attached has got its EXIT, or newer ones push it out.
 */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H

#include "agent/launch.h"
#include "agent/replay.h"
#include "agent/stream.h"

#define SESSIONS_MAX 256u      /* running at once */
#define SESSIONS_ENDED_MAX 16u /* kept for somebody to attach */
#define SESSION_LINGER_MS 200u

struct session;
struct sessions;

/* Who is at the other end; implemented by the server. */
struct client {
	struct stream stream;
	struct session *session; /* NULL when not bound */
};

/* Tells the server that the session has let go of the client: what is in its
 * stream is the last that comes. May free the client later, not at once. */
typedef void client_done_fn(struct client *c);
/* The stream failed in the middle of a write. */
typedef void client_lost_fn(struct client *c);
/* The session can take stdin again. */
typedef void client_more_fn(struct client *c);

struct sessions {
	struct loop *loop;
	const struct spawn_env *env;
	struct list list;
	struct session *spare; /* of one that is over, as in launch.c */
	unsigned int n_running;
	uint32_t next_id;
	bool closed; /* shutting down: no new ones */
	client_done_fn *done;
	client_lost_fn *lost;
	client_more_fn *more;
	uint8_t frame[FRAME_HEAD + FRAME_MAX]; /* output on its way */
};

void sessions_init(
	struct sessions *m, struct loop *l, const struct spawn_env *env);
/* Frees all of them; their processes are not touched. */
void sessions_done(struct sessions *m);

/* Starts req for c and sends STARTED; 0 or -errno with text, c stays free. */
int session_start(struct sessions *m, const struct request *req,
	struct client *c, struct err *err);
/* Binds c to a session, an earlier client goes. -ENOENT with text. */
int session_attach(
	struct sessions *m, uint32_t id, struct client *c, struct err *err);
/* To the process group. 0 or -errno with text. */
int session_signal(struct sessions *m, uint32_t id, int signo, struct err *err);
/* One SESSION frame for each. 0 or -errno. */
int sessions_list(struct sessions *m, struct stream *to);

/* Bytes taken, fewer than len when the process does not read: then more(). */
size_t session_stdin(struct session *s, const void *p, size_t len);
void session_stdin_eof(struct session *s);
void session_winsize(struct session *s, uint32_t rows, uint32_t cols);
/* The client leaves but the process goes on; done() is called. */
void session_detach(struct session *s);
/* The client is gone: hangs up, or detaches if the session may. */
void session_client_gone(struct session *s);
bool session_survives(const struct session *s);
/* The client's stream has room again. */
void session_resume(struct session *s);

/* A child was reaped: true when it was a session's. wstatus as of waitpid. */
bool sessions_reaped(struct sessions *m, pid_t pid, int wstatus);
/* SIGHUP to sessions with a terminal: shells ignore SIGTERM. */
void sessions_hangup_ttys(struct sessions *m);

#endif
