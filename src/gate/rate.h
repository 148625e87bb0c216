/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate - a token bucket over bytes: `rate` bytes a second, a burst of one
 * quarter second (at least 64 KiB). Pure: the caller brings the time.
 */
#ifndef GATE_RATE_H
#define GATE_RATE_H

#include "base/util.h"

struct rate {
	uint64_t per_second; /* 0 = unlimited */
	uint64_t tokens;
	uint64_t filled_ms;
};

void rate_init(struct rate *r, uint64_t per_second, uint64_t now);
/* Bytes that may move now, at most want. */
size_t rate_allow(struct rate *r, size_t want, uint64_t now);
/* Takes what moved; never more than rate_allow() said. */
void rate_take(struct rate *r, size_t n);
/* Milliseconds until some bytes may move again; 0 = now. */
uint64_t rate_wait_ms(const struct rate *r, uint64_t now);

#endif
