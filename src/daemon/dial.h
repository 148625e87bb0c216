/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial - a connection to a port of the guest: connect to vsock.sock, write
 * "CONNECT <port>\n", read "OK <n>\n" (docs/architecture.md, vsock). The far
 * end is the device server relaying a hostile guest: the answer is bounded and
 * exact, not a byte beyond its newline is read. Embedded in its owner.
 */
#ifndef DAEMON_DIAL_H
#define DAEMON_DIAL_H

#include "base/err.h"
#include "base/loop.h"

struct dial;
/* fd is the caller's and non-blocking, or -errno. Once per dial_start(). */
typedef void dial_fn(struct dial *dl, int fd);

struct dial {
	struct loop *loop;
	struct watch w;
	struct timer late;
	dial_fn *fn;
	char text[32]; /* the answer so far */
	size_t len;
};

/* 0 and fn is called later, or -errno and it is not. */
int dial_start(struct dial *dl, struct loop *l, const char *run_dir,
	uint32_t port, uint64_t timeout_ms, dial_fn *fn);
/* Forgets a dial that is under way; harmless otherwise. */
void dial_cancel(struct dial *dl);

#endif
