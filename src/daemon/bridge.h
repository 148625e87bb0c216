/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge - carries bytes between a client and a guest, both ways, until both
 * are through. A side that cannot take more stops the other side's reading
 * (nothing is dropped, memory stays bounded); the end of one direction is
 * passed on as the end of that direction; a side that is gone ends both.
 * The bytes are not looked at. Frees itself. Loop thread only.
 */
#ifndef DAEMON_BRIDGE_H
#define DAEMON_BRIDGE_H

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"

#define BRIDGE_PENDING (256u * 1024u)

struct bridge;
typedef void bridge_end_fn(void *arg);

/*
 * Takes both descriptors (sockets, made non-blocking here) also on failure.
 * to_b and to_a are bytes to be delivered first, those of a before those of b:
 * whoever was told nothing knows that nothing was passed on. scratch is memory
 * that may be used within one callback. end is called once when it is over;
 * until then the bridge is on the list.
 */
int bridge_start(struct loop *l, struct list *list, int fd_a, int fd_b,
	const struct buf *to_b, const struct buf *to_a, uint8_t *scratch,
	size_t scratch_size, bridge_end_fn *end, void *arg);
/* Ends all that are on the list. */
void bridge_end_all(struct list *list);

#endif
