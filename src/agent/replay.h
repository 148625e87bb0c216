/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - the newest AGENT_REPLAY bytes of a session's output, as frames of
 * their kind (STDOUT, STDERR), so that a client that attaches later sees them
 * as it would have seen them live. Fixed memory, no allocation after new.
 */
#ifndef AGENT_REPLAY_H
#define AGENT_REPLAY_H

#include "wire/frame.h"

struct replay;

struct replay *replay_new(void);
void replay_free(struct replay *r);
/* Bytes of output; the oldest go when there are too many. len <= FRAME_MAX. */
void replay_add(struct replay *r, uint8_t type, const void *p, size_t len);
/* Whole frames to be sent, valid until the next replay_add. */
const void *replay_frames(const struct replay *r, size_t *ret_len);
/* Payload bytes that are held. */
size_t replay_bytes(const struct replay *r);

#endif
