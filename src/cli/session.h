/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - one command in a sandbox, seen from here: three local descriptors
 * on one side, the agent's frames (wire/agent.h) on the other, one loop between
 * them. The stream comes from a hostile guest: frames are bounded, unknown ones
 * end the session. Every direction has one bounded buffer and stops reading
 * when the other end does not take it.
 *
 * Nothing here knows coved: signals leave through a callback, so that the whole
 * machine runs over a socketpair in the tests.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "base/loop.h"
#include "cli/keys.h"
#include "cli/request.h"
#include "cli/sink.h"

#define SESSION_LEAVE_MS 1000  /* a second signal within this leaves */
#define SESSION_DETACH_MS 1000 /* how long a detach may take to be sent */

enum session_end {
	SESSION_EXITED,   /* status: of the command, 128+signal if killed */
	SESSION_FAILED,   /* never ran: code and text say why */
	SESSION_STARTED,  /* detached from the beginning */
	SESSION_DETACHED, /* by the detach keys */
	SESSION_LEFT,     /* by a second signal; status: 128+signal */
	SESSION_PIPE,     /* nobody reads our output any more */
	SESSION_LOST,     /* the stream ended without an exit status */
	SESSION_BROKEN,   /* the guest sent what is no frame, or no loop */
};

struct session_result {
	enum session_end end;
	int status;
	uint32_t id;    /* of the session in the agent; 0 unknown */
	struct err err; /* FAILED, BROKEN */
};

struct session;
/* Asks the agent to signal session id; must not block. */
typedef void session_signal_fn(
	void *arg, struct loop *l, uint32_t id, int signo);

struct session {
	/* Set by the caller. */
	const struct exec_request *req;
	int stream;        /* connected, not yet used; stays the caller's */
	struct buf *early; /* bytes that were read already; may be NULL */
	bool asked;        /* req was sent already */
	int fds[3];        /* stdin, stdout, stderr; borrowed */
	struct keys keys;  /* with a terminal */
	bool raw;          /* fds[0] is a terminal to be put into raw mode */
	session_signal_fn *send_signal;
	void *signal_arg;

	/* Private. */
	struct loop loop;
	struct watch stream_w;
	struct watch stdin_w;
	struct watch sink_w[2];
	struct sink sinks[2];
	struct buf in;
	struct buf out;
	size_t written; /* of the output frame at the front of in */
	int blocked;    /* sink that takes no more, -1 none */
	bool stdin_open;
	bool stdin_eof;   /* to be told to the agent */
	bool stdin_file;  /* epoll cannot watch it: always readable */
	bool stream_dead; /* for writing */
	bool detaching;
	bool detach_sent;
	bool ending;
	struct timer detach_timer;
	int last_signo;
	uint64_t last_signal_ms;
	struct session_result *result;
};

/* Runs to the end. The terminal is restored, signals are as before. */
void session_run(struct session *s, struct session_result *ret);

#endif
