/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagrams - datagrams on a stream to or from the gate, each behind its le16
 * length (wire/egress.h). Buffers are the caller's, bounded by their max; what
 * does not fit is lost, as on any network. The gate is trusted to frame, and
 * no length is believed beyond what the buffer takes.
 */
#ifndef AGENT_DATAGRAMS_H
#define AGENT_DATAGRAMS_H

#include "base/buf.h"

#define DATAGRAM_HEAD 2u
#define DATAGRAM_READ (16u * 1024u) /* beyond a whole one, in a buffer */

/* A whole one or nothing. */
void datagrams_put(struct buf *b, const uint8_t *p, size_t len);
/* What fd takes of it, without waiting. 0 or -errno. */
int datagrams_flush(struct buf *b, int fd);
/* Reads once, hands over those that are whole. 0, or -errno, -EPIPE at end. */
int datagrams_read(struct buf *b, int fd,
	void (*give)(void *arg, const uint8_t *p, size_t len), void *arg);

#endif
