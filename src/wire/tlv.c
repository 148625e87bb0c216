/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tlv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static void put_head(uint8_t *p, uint16_t tag, uint32_t len)
{
	put_le16(p, tag);
	put_le16(p + 2, 0);
	put_le32(p + 4, len);
}

int tlv_put(struct buf *b, uint16_t tag, const void *p, size_t len)
{
	uint8_t *to;
	size_t total;

	if (len > UINT32_MAX || !add_ok(len, (size_t)TLV_HEAD, &total))
		return -ENOBUFS;
	to = buf_reserve(b, total);
	if (!to)
		return -ENOBUFS;
	put_head(to, tag, (uint32_t)len);
	if (len)
		memcpy(to + TLV_HEAD, p, len);
	buf_add(b, total);
	return 0;
}

int tlv_put_str(struct buf *b, uint16_t tag, const char *s)
{
	return tlv_put(b, tag, s, strlen(s));
}

int tlv_put_u32(struct buf *b, uint16_t tag, uint32_t v)
{
	uint8_t le[4];

	put_le32(le, v);
	return tlv_put(b, tag, le, sizeof(le));
}

int tlv_put_u64(struct buf *b, uint16_t tag, uint64_t v)
{
	uint8_t le[8];

	put_le64(le, v);
	return tlv_put(b, tag, le, sizeof(le));
}

/* The mark counts from the head of the data: the data itself may move. */
size_t tlv_begin(struct buf *b, uint16_t tag)
{
	size_t mark = buf_len(b);

	return tlv_put(b, tag, NULL, 0) < 0 ? (size_t)-1 : mark;
}

void tlv_end(struct buf *b, size_t mark)
{
	size_t body;

	/* tlv_begin failed: every put since then failed or stands alone. */
	if (mark == (size_t)-1)
		return;
	assert(mark <= buf_len(b) && buf_len(b) - mark >= TLV_HEAD);
	body = buf_len(b) - mark - TLV_HEAD;
	assert(body <= UINT32_MAX);
	put_le32(b->data + b->off + mark + 4, (uint32_t)body);
}

int tlv_next(struct tlv_iter *it, struct tlv *ret)
{
	uint32_t len;

	if (!it->left)
		return 0;
	if (it->left < TLV_HEAD || get_le16(it->p + 2) != 0)
		return -EBADMSG;
	len = get_le32(it->p + 4);
	if (len > it->left - TLV_HEAD)
		return -EBADMSG;
	*ret = (struct tlv){get_le16(it->p), len, it->p + TLV_HEAD};
	it->p += TLV_HEAD + len;
	it->left -= TLV_HEAD + len;
	return 1;
}

int tlv_u32(const struct tlv *t, uint32_t *ret)
{
	if (t->len != 4)
		return -EBADMSG;
	*ret = get_le32(t->p);
	return 0;
}

int tlv_u64(const struct tlv *t, uint64_t *ret)
{
	if (t->len != 8)
		return -EBADMSG;
	*ret = get_le64(t->p);
	return 0;
}

int tlv_str(const struct tlv *t, size_t max, char **ret)
{
	if (t->len > max || (t->len && memchr(t->p, '\0', t->len)))
		return -EBADMSG;
	*ret = xstrndup((const char *)t->p, t->len);
	return 0;
}
