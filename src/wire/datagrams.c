/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/datagrams.h"

#include "wire/wire.h"
#include <errno.h>

void datagrams_put(struct buf *b, const uint8_t *p, size_t len)
{
	uint8_t head[DATAGRAM_HEAD];

	put_le16(head, (uint16_t)len);
	if (len > UINT16_MAX || buf_len(b) + DATAGRAM_HEAD + len > b->max)
		return;
	(void)buf_put(b, head, DATAGRAM_HEAD);
	(void)buf_put(b, p, len);
}

int datagrams_give(struct buf *b,
	int (*give)(void *arg, const uint8_t *p, size_t len), void *arg)
{
	int r = 0;

	while (r == 0 && buf_len(b) >= DATAGRAM_HEAD) {
		const uint8_t *p = buf_head(b);
		size_t len = get_le16(p);

		if (buf_len(b) < DATAGRAM_HEAD + len)
			return 0;
		r = give(arg, p + DATAGRAM_HEAD, len);
		buf_consume(b, DATAGRAM_HEAD + len);
	}
	if (buf_len(b) == 0)
		buf_done(b);
	return r;
}

int datagrams_read(struct buf *b, int fd,
	int (*give)(void *arg, const uint8_t *p, size_t len), void *arg)
{
	ssize_t n = buf_read_fd(b, fd, DATAGRAM_READ);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	return n <= 0 ? -EPIPE : datagrams_give(b, give, arg);
}
