/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/rate.h"

/* Smaller moves than this are not worth a wake-up. */
#define QUANTUM 1024u

static uint64_t burst(const struct rate *r)
{
	return MAX(r->per_second / 4, 64 * KIB);
}

void rate_init(struct rate *r, uint64_t per_second, uint64_t now)
{
	*r = (struct rate){.per_second = per_second, .filled_ms = now};
	r->tokens = burst(r);
}

static void fill(struct rate *r, uint64_t now)
{
	uint64_t ms = now - r->filled_ms;
	uint64_t add;

	/* More than the burst is never kept, so a long pause cannot overflow. */
	ms = MIN(ms, 60000u);
	if (!mul_ok(r->per_second, ms, &add))
		add = UINT64_MAX;
	add /= 1000;
	if (add == 0)
		return;
	r->tokens = MIN(burst(r), add > burst(r) ? add : r->tokens + add);
	r->filled_ms = now;
}

size_t rate_allow(struct rate *r, size_t want, uint64_t now)
{
	if (r->per_second == 0)
		return want;
	fill(r, now);
	return (size_t)MIN((uint64_t)want, r->tokens);
}

void rate_take(struct rate *r, size_t n)
{
	if (r->per_second)
		r->tokens -= MIN((uint64_t)n, r->tokens);
}

uint64_t rate_wait_ms(const struct rate *r, uint64_t now)
{
	uint64_t need, due;

	if (r->per_second == 0 || r->tokens > 0)
		return 0;
	need = MIN((uint64_t)QUANTUM, burst(r));
	due = r->filled_ms + need * 1000 / r->per_second + 1;
	return due > now ? due - now : 1;
}
