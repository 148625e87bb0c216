/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon - what every part of coved shares: the loop, the store, the host, the
 * lists of what lives. One thread; lists own nothing, each object frees itself
 * and takes itself off its list.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/backend.h"
#include "daemon/host.h"
#include "daemon/store.h"

#include "base/loop.h"
#include "base/paths.h"

#define SCRATCH_SIZE (256u * 1024u)

struct daemon {
	struct loop loop;
	struct paths paths;
	struct host host;
	struct store *store;
	const struct backend *backend;
	struct list sandboxes; /* struct sandbox.link, oldest first */
	struct list jobs;      /* struct job.link */
	struct list conns;     /* struct conn.link, least recently used first */
	struct list ask_waiters; /* clients; see ask.h */
	struct list bridges;     /* exec streams, see bridge.h */
	size_t n_conns;
	size_t max_conns;
	struct watch listen; /* fd -1 when not listening */
	struct timer sweep;  /* closes connections that say nothing */
	uint8_t *scratch;    /* SCRATCH_SIZE; used within one callback only */
	bool store_is_new;
	bool kernel_checked; /* against this build's agent; prepare.c */
	int lock_fd;         /* state/coved.lock, -1 in tests */
	uint64_t
		stop_grace_ms; /* 0: the default of sandbox.h; tests are faster */
	uint64_t linger_ms;
	uint64_t devices_ms;
	uint64_t counter; /* of refused requests and dropped messages */
};

#endif
