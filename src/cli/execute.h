/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execute - a command in a sandbox with the caller's own stdio, from the API
 * call to the exit code; what went wrong is told on stderr. Shared by run and
 * exec.
 */
#ifndef CLI_EXECUTE_H
#define CLI_EXECUTE_H

#include "cli/cli.h"
#include "cli/request.h"

struct execution {
	const char *sandbox; /* name or id, as the API takes it */
	const char *shown;   /* name for messages and hints */
	struct exec_request req;
	const char *detach_keys; /* NULL: the default */
	bool quiet;
	int stdout_fd; /* instead of standard output; 0: not */
};

/*
 * The exit code of cove. *ret_id is the session's id, 0 when nothing was
 * started. With req.detached it returns as soon as the command runs.
 */
int execute(struct cli *cli, struct execution *x, uint32_t *ret_id);
/* Standard input and output are both a terminal. */
bool execute_on_terminal(void);

#endif
