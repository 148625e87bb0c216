/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagrams - datagrams on a stream between the agent and the gate, each behind
 * its le16 length (wire/egress.h). Buffers are the caller's, bounded by their
 * max; what does not fit is lost, as on any network. The other side is hostile:
 * no length is believed beyond what is there.
 */
#ifndef WIRE_DATAGRAMS_H
#define WIRE_DATAGRAMS_H

#include "base/buf.h"

#define DATAGRAM_HEAD 2u
#define DATAGRAM_READ (16u * 1024u) /* beyond a whole one, in a buffer */

/* A whole one or nothing. */
void datagrams_put(struct buf *b, const uint8_t *p, size_t len);
/* Hands over those that are whole, as long as give() says 0; what it says. */
int datagrams_give(struct buf *b,
	int (*give)(void *arg, const uint8_t *p, size_t len), void *arg);
/* Reads once, hands over those that are whole. As above; -EPIPE at the end. */
int datagrams_read(struct buf *b, int fd,
	int (*give)(void *arg, const uint8_t *p, size_t len), void *arg);

#endif
