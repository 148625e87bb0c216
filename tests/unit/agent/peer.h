/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer - the host's end of the exec port for tests: an agent's server in a
 * forked process behind a Unix socket, and blocking calls to talk to it.
 */
#ifndef TESTS_UNIT_AGENT_PEER_H
#define TESTS_UNIT_AGENT_PEER_H

#include "agent/request.h"
#include "wire/agent.h"
#include <sys/types.h>

struct peer {
	char dir[64]; /* holds the socket and etc/ */
	pid_t pid;
};

/* What came on one exec stream until EXIT, FAILED, DONE or the end. */
#define ARGV(...)                 \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}
#define SH(script) ARGV("sh", "-c", script)

struct result {
	struct buf out;
	struct buf err;
	struct buf failed; /* text of FAILED */
	uint32_t id;
	uint32_t pid;
	uint32_t status; /* ~0: no EXIT */
	uint32_t signo;
	unsigned int sessions; /* SESSION frames */
	bool done;
	bool started;
};

void peer_start(struct peer *p);
/* Ends the agent and checks that it ended well (no leak, no crash). */
void peer_stop(struct peer *p);
int peer_connect(const struct peer *p);

/* An EXEC request; argv and env end with NULL, env may be NULL. */
void peer_exec(int fd, uint32_t flags, const char *const *argv,
	const char *const *env);
void peer_request(int fd, uint8_t type, uint32_t id, uint32_t signo);
void peer_send(int fd, uint8_t type, const void *p, size_t len);
void peer_winsize(int fd, uint32_t rows, uint32_t cols);

/* Reads one frame: its type, 0 at the end. Payload in buf, NUL added. */
int peer_frame(int fd, char *buf, size_t size, size_t *ret_len);
/* Reads until the output ends with what is expected. */
void peer_expect(int fd, const char *what);
/* Reads to the last frame. */
void peer_collect(int fd, struct result *r);
void result_done(struct result *r);
/* Output as a string. */
const char *result_out(struct result *r);
const char *result_err(struct result *r);
const char *result_failed(struct result *r);

/* All in one: runs argv without stdin. */
void peer_run(const struct peer *p, uint32_t flags, const char *const *argv,
	struct result *r);

#endif
