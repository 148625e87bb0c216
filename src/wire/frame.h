/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame - how messages are cut out of a byte stream: le32 payload length, u8
 * type, u8 flags, le16 zero, payload. At most FRAME_MAX payload bytes.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/buf.h"
#include "wire/wire.h"

#define FRAME_HEAD 8u
#define FRAME_MAX (64u * 1024u)

struct frame {
	uint8_t type;
	uint8_t flags;
	uint32_t len;
	const uint8_t *p; /* borrowed from the buffer until it is consumed */
};

void frame_head(uint8_t head[FRAME_HEAD], uint8_t type, uint32_t len);
/* Appends a whole frame; 0 or -ENOBUFS. len <= FRAME_MAX. */
int frame_put(struct buf *b, uint8_t type, const void *p, size_t len);
/*
 * Looks at the front of in: 1 a whole frame (then buf_consume FRAME_HEAD +
 * len), 0 more bytes needed, -EBADMSG too long or a non-zero reserved field.
 */
int frame_peek(const struct buf *in, struct frame *ret);

#endif
