/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - one framed byte stream (vsock in the guest, any stream socket in a
 * test): reads into a bounded buffer, writes at once and keeps only what the
 * other end does not take. Embedded in its owner, loop thread only.
 *
 * Flow control is the kernel's: while out is not empty the owner produces
 * nothing, while reading is off nothing is read.
 */
#ifndef AGENT_STREAM_H
#define AGENT_STREAM_H

#include "base/loop.h"
#include "wire/frame.h"

/* Also what copy/tree.h asks of a buffer that is handed over. */
#define STREAM_IN_MAX (256u * 1024u)
#define STREAM_OUT_MAX (1024u * 1024u)

struct stream {
	struct loop *loop;
	struct watch watch;
	int fd; /* owned; -1 when closed */
	struct buf in;
	struct buf out;
	size_t want; /* bytes asked for by the next read */
	bool reading;
	bool ignore_end; /* the other end's half close was noticed */
};

/* Takes fd over, which becomes non-blocking; reading is on. 0 or -errno. */
int stream_open(struct stream *s, struct loop *l, int fd, watch_fn *fn);
void stream_close(struct stream *s);
/* Hands descriptor and unread input to the caller; the stream is closed. */
int stream_take(struct stream *s, struct buf *ret_in);
void stream_set_reading(struct stream *s, bool on);
/* Stops reports of the half close, while its data are still to be read. */
void stream_ignore_end(struct stream *s);
/* One read. Bytes, 0 at the end, -EAGAIN, other -errno. */
ssize_t stream_fill(struct stream *s);
/* 0 when sent or kept; -ENOBUFS when STREAM_OUT_MAX is exceeded; -errno. */
int stream_send(struct stream *s, const void *p, size_t len);
int stream_send_frame(
	struct stream *s, uint8_t type, const void *body, size_t len);
/* Writes what is kept. 0 or -errno. */
int stream_flush(struct stream *s);
static inline bool stream_blocked(const struct stream *s)
{
	return buf_len(&s->out) != 0;
}

#endif
