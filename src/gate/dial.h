/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial - one TCP connection to the first of several addresses that answers
 * (RFC 8305): IPv6 and IPv4 in turns, the next attempt begins when the one
 * before failed or after DIAL_STEP_MS. The addresses were judged before.
 */
#ifndef GATE_DIAL_H
#define GATE_DIAL_H

#include "base/loop.h"
#include "policy/name.h"

#define DIAL_MAX 16u
#define DIAL_STEP_MS 250u
#define DIAL_LIMIT_MS 30000u

struct dial;
/* fd: connected, the callee's; or -errno. The dial is gone. */
typedef void dial_fn(void *arg, int fd, const struct address *addr);

/* fn is called from the loop, never from here. n is 1 to DIAL_MAX. */
struct dial *dial_new(struct loop *loop, const struct address *addrs, size_t n,
	uint16_t port, dial_fn *fn, void *arg);
/* fn will not be called. NULL is fine. */
void dial_cancel(struct dial *d);

#endif
