/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tlv - a message body as a sequence of records: le16 tag, le16 zero, le32
 * length, bytes. Unknown tags are skipped, so both ends may be newer than the
 * other. A record may itself hold records.
 */
#ifndef WIRE_TLV_H
#define WIRE_TLV_H

#include "base/buf.h"
#include "wire/wire.h"

#define TLV_HEAD 8u

/* 0 or -ENOBUFS (the buffer's max). Strings go without their NUL. */
int tlv_put(struct buf *b, uint16_t tag, const void *p, size_t len);
int tlv_put_str(struct buf *b, uint16_t tag, const char *s);
int tlv_put_u32(struct buf *b, uint16_t tag, uint32_t v);
int tlv_put_u64(struct buf *b, uint16_t tag, uint64_t v);
/* Opens a nested record and returns a mark for tlv_end; (size_t)-1 if full. */
size_t tlv_begin(struct buf *b, uint16_t tag);
void tlv_end(struct buf *b, size_t mark);

struct tlv {
	uint16_t tag;
	uint32_t len;
	const uint8_t *p; /* borrowed from the message */
};

struct tlv_iter {
	const uint8_t *p;
	size_t left;
};

static inline struct tlv_iter tlv_iter(const void *p, size_t len)
{
	return (struct tlv_iter){p, len};
}
/* 1 a record, 0 end, -EBADMSG malformed. */
int tlv_next(struct tlv_iter *it, struct tlv *ret);
/* -EBADMSG unless the record has exactly that shape. */
int tlv_u32(const struct tlv *t, uint32_t *ret);
int tlv_u64(const struct tlv *t, uint64_t *ret);
/* Heap copy, refused (-EBADMSG) with a NUL inside or longer than max. */
int tlv_str(const struct tlv *t, size_t max, char **ret);

#endif
