/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - the first frame of an exec stream (wire/agent.h): what to run, or
 * which session to join or signal. Pure; fails only when the request does not
 * fit into one frame.
 */
#ifndef CLI_REQUEST_H
#define CLI_REQUEST_H

#include "base/buf.h"
#include "base/err.h"

struct exec_request {
	char *const *argv; /* none: a login shell */
	size_t argc;
	char *const *env; /* K=V */
	size_t n_env;
	const char *cwd;  /* NULL: the sandbox's */
	const char *user; /* NULL: the sandbox's */
	bool tty;
	bool stdin_open;
	bool detached;
	const char *term;    /* with tty */
	uint32_t rows, cols; /* with tty; 0 unknown */
	bool attach;         /* join session id instead of running something */
	uint32_t id;
};

int request_put_exec(
	struct buf *out, const struct exec_request *req, struct err *err);
int request_put_signal(struct buf *out, uint32_t id, int signo);
int request_put_winsize(struct buf *out, uint32_t rows, uint32_t cols);
int request_put_list(struct buf *out);

#endif
