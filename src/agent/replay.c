/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/replay.h"

#include "wire/agent.h"
#include <assert.h>
#include <string.h>

/*
 * Short writes of a kind are joined up to this size. A frame thus carries more
 * than JOIN_MAX / 2 bytes on average, unless the two kinds alternate: then old
 * output goes early, when the heads have filled the space.
 */
#define JOIN_MAX 4096u
#define SPACE (2u * AGENT_REPLAY)
#define KEPT_MAX (AGENT_REPLAY + AGENT_REPLAY / 2)

struct replay {
	size_t off; /* the oldest frame's head */
	size_t end;
	size_t last;  /* the newest frame's head, if end > off */
	size_t bytes; /* payload in off..end */
	uint8_t data[SPACE];
};

struct replay *replay_new(void)
{
	return xnew(struct replay);
}

void replay_free(struct replay *r)
{
	free(r);
}

size_t replay_bytes(const struct replay *r)
{
	return r->bytes;
}

const void *replay_frames(const struct replay *r, size_t *ret_len)
{
	*ret_len = r->end - r->off;
	return r->data + r->off;
}

/* Drops n bytes of the oldest payload, rewriting the head it cuts. */
static void drop_payload(struct replay *r, size_t n)
{
	while (n) {
		uint8_t *head = r->data + r->off;
		uint32_t len = get_le32(head);
		uint8_t type = head[4];

		if (n < len) {
			r->off += n;
			r->last = MAX(r->last, r->off);
			frame_head(r->data + r->off, type, len - (uint32_t)n);
			r->bytes -= n;
			return;
		}
		r->off += FRAME_HEAD + len;
		r->bytes -= len;
		n -= len;
	}
}

/*
 * Makes room for a frame of len bytes at the end. What is moved is bounded by
 * KEPT_MAX, and at least SPACE - KEPT_MAX bytes come in before the next move.
 */
static void make_room(struct replay *r, size_t len)
{
	size_t need = FRAME_HEAD + len;

	if (r->end + need <= SPACE)
		return;
	while (r->end - r->off + need > KEPT_MAX)
		drop_payload(r, get_le32(r->data + r->off));
	memmove(r->data, r->data + r->off, r->end - r->off);
	r->last -= MIN(r->last, r->off);
	r->end -= r->off;
	r->off = 0;
}

static bool joins(const struct replay *r, uint8_t type, size_t len)
{
	const uint8_t *head = r->data + r->last;

	return r->end > r->off && head[4] == type &&
		get_le32(head) + len <= JOIN_MAX && r->end + len <= SPACE;
}

void replay_add(struct replay *r, uint8_t type, const void *p, size_t len)
{
	assert(len <= FRAME_MAX);
	if (!len)
		return;
	if (r->bytes + len > AGENT_REPLAY)
		drop_payload(r, r->bytes + len - AGENT_REPLAY);
	if (joins(r, type, len)) {
		uint32_t old = get_le32(r->data + r->last);

		frame_head(r->data + r->last, type, old + (uint32_t)len);
	} else {
		make_room(r, len);
		r->last = r->end;
		frame_head(r->data + r->last, type, (uint32_t)len);
		r->end += FRAME_HEAD;
	}
	memcpy(r->data + r->end, p, len);
	r->end += len;
	r->bytes += len;
}
