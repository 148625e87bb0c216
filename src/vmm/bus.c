/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/bus.h"

#include <assert.h>
#include <string.h>

void bus_add(struct bus *b, uint64_t base, uint64_t len,
	const struct bus_ops *ops, void *dev)
{
	size_t at = 0;

	assert(b->n < BUS_RANGES && len > 0 && base + len > base);
	while (at < b->n && b->v[at].base < base)
		at++;
	assert(at == 0 || b->v[at - 1].base + b->v[at - 1].len <= base);
	assert(at == b->n || base + len <= b->v[at].base);
	memmove(&b->v[at + 1], &b->v[at], (b->n - at) * sizeof(b->v[0]));
	b->v[at] = (struct bus_range){base, len, ops, dev};
	b->n++;
}

const struct bus_range *bus_find(
	const struct bus *b, uint64_t addr, unsigned len)
{
	size_t lo = 0, hi = b->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct bus_range *r = &b->v[mid];
		if (addr < r->base)
			hi = mid;
		else if (addr - r->base >= r->len)
			lo = mid + 1;
		else
			return len <= r->len - (addr - r->base) ? r : NULL;
	}
	return NULL;
}

void bus_read(struct bus *b, uint64_t addr, uint8_t *data, unsigned len)
{
	const struct bus_range *r = NULL;

	memset(data, 0xff, len);
	if (len >= 1 && len <= BUS_ACCESS_MAX)
		r = bus_find(b, addr, len);
	if (r)
		r->ops->read(r->dev, addr - r->base, data, len);
	else
		__atomic_fetch_add(&b->n_unclaimed, 1, __ATOMIC_RELAXED);
}

void bus_write(struct bus *b, uint64_t addr, const uint8_t *data, unsigned len)
{
	const struct bus_range *r = NULL;

	if (len >= 1 && len <= BUS_ACCESS_MAX)
		r = bus_find(b, addr, len);
	if (r)
		r->ops->write(r->dev, addr - r->base, data, len);
	else
		__atomic_fetch_add(&b->n_unclaimed, 1, __ATOMIC_RELAXED);
}
