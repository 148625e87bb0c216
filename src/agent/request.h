/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - the first frame of an exec stream (EXEC, ATTACH, SIGNAL, GET, PUT)
 * as a checked struct. Pure; all strings are heap copies owned by the request.
 */
#ifndef AGENT_REQUEST_H
#define AGENT_REQUEST_H

#include "agent/strv.h"
#include "base/err.h"

struct request {
	struct strv argv;
	struct strv env; /* K=V */
	char *cwd;       /* NULL: the default */
	char *user;      /* NULL: the default */
	char *path;      /* GET, PUT */
	uint32_t flags;  /* EX_* */
	uint32_t id;     /* ATTACH, SIGNAL */
	uint32_t signo;
	uint32_t rows;
	uint32_t cols;
};

/*
 * 0, or -EBADMSG, -E2BIG or -EINVAL with text when the body is malformed or
 * something that this type needs is missing. On failure ret is not touched.
 */
int request_parse(uint8_t type, const void *p, size_t len, struct request *ret,
	struct err *err);
void request_done(struct request *r);
/* A WINSIZE body. 0 or -EBADMSG; at most 65535 each. */
int request_winsize(
	const void *p, size_t len, uint32_t *ret_rows, uint32_t *ret_cols);

#endif
