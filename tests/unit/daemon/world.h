/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - a directory of its own with a cache that looks filled, a fake coved
 * that serves it, and a blocking API client. One world per test.
 */
#ifndef TEST_DAEMON_WORLD_H
#define TEST_DAEMON_WORLD_H

#include "base/util.h"

#include <jansson.h>
#include <sys/types.h>

struct world {
	char dir[64];
	pid_t pid;
	char text[512]; /* what coved printed when it did not start */
};

void world_init(struct world *w);
/* Ends everything and fails the test when a process or file is left over. */
void world_done(struct world *w);
/* For cmocka: a world that serves, and its end. */
int world_setup(void **state);
int world_teardown(void **state);
/* True when it serves. */
bool world_start(struct world *w);
void world_kill(struct world *w); /* kill -9 */
int world_stop(struct world *w);  /* SIGTERM; the exit status */

int world_connect(struct world *w);
/* Status of the answer; *ret (may be NULL) is its body or NULL. */
int world_call(struct world *w, const char *method, const char *path,
	const char *body, json_t **ret);
/* The same on a connection, which is closed; extra: header lines. */
int world_request(int fd, const char *method, const char *path,
	const char *extra, const char *body, json_t **ret, char *raw,
	size_t raw_size);
/* The state of a sandbox, "" when there is none; static memory. */
const char *world_state(struct world *w, const char *name);
bool world_wait_state(
	struct world *w, const char *name, const char *state, unsigned ms);
/* True when what coved logs has the text, at last. */
bool world_wait_log(struct world *w, const char *text, unsigned ms);
bool world_has_event(struct world *w, const char *name, const char *type);
/* Processes whose command line names this world (not coved itself). */
unsigned world_procs(struct world *w);
/* The same, once it is want; what it was when it never came to that. */
unsigned world_procs_settle(struct world *w, unsigned want);
/* Entries of a directory below the world, "." files not counted. */
unsigned world_entries(struct world *w, const char *sub);
/* An exec stream after its 101, or -status. */
int world_exec(struct world *w, const char *name);
void world_write(struct world *w, const char *sub, const char *text);

#endif
