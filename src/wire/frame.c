/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

void frame_head(uint8_t head[FRAME_HEAD], uint8_t type, uint32_t len)
{
	assert(len <= FRAME_MAX);
	put_le32(head, len);
	head[4] = type;
	head[5] = 0;
	put_le16(head + 6, 0);
}

int frame_put(struct buf *b, uint8_t type, const void *p, size_t len)
{
	uint8_t *head;

	assert(len <= FRAME_MAX);
	head = buf_reserve(b, FRAME_HEAD + len);
	if (!head)
		return -ENOBUFS;
	frame_head(head, type, (uint32_t)len);
	if (len)
		memcpy(head + FRAME_HEAD, p, len);
	buf_add(b, FRAME_HEAD + len);
	return 0;
}

int frame_peek(const struct buf *in, struct frame *ret)
{
	const uint8_t *p = buf_head(in);
	size_t have = buf_len(in);
	uint32_t len;

	if (have < FRAME_HEAD)
		return 0;
	len = get_le32(p);
	if (len > FRAME_MAX || get_le16(p + 6) != 0)
		return -EBADMSG;
	if (have - FRAME_HEAD < len)
		return 0;
	*ret = (struct frame){p[4], p[5], len, p + FRAME_HEAD};
	return 1;
}
