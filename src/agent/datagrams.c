/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/datagrams.h"

#include "wire/wire.h"
#include <errno.h>
#include <sys/socket.h>

void datagrams_put(struct buf *b, const uint8_t *p, size_t len)
{
	uint8_t head[DATAGRAM_HEAD];

	put_le16(head, (uint16_t)len);
	if (len > UINT16_MAX || buf_len(b) + DATAGRAM_HEAD + len > b->max)
		return;
	(void)buf_put(b, head, DATAGRAM_HEAD);
	(void)buf_put(b, p, len);
}

int datagrams_flush(struct buf *b, int fd)
{
	ssize_t n;

	if (buf_len(b) == 0)
		return 0;
	n = send(fd, buf_head(b), buf_len(b), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	buf_consume(b, (size_t)n);
	if (buf_len(b) == 0)
		buf_done(b);
	return 0;
}

int datagrams_read(struct buf *b, int fd,
	void (*give)(void *arg, const uint8_t *p, size_t len), void *arg)
{
	ssize_t n = buf_read_fd(b, fd, DATAGRAM_READ);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		return -EPIPE;
	while (buf_len(b) >= DATAGRAM_HEAD) {
		const uint8_t *p = buf_head(b);
		size_t len = get_le16(p);

		if (buf_len(b) < DATAGRAM_HEAD + len)
			return 0;
		give(arg, p + DATAGRAM_HEAD, len);
		buf_consume(b, DATAGRAM_HEAD + len);
	}
	buf_done(b);
	return 0;
}
