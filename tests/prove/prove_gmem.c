/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For every map that gmem_add() accepts and every address and length: what
 * gmem_ptr() returns is NULL, or len bytes that lie wholly inside one region,
 * at the place that belongs to the address; and it finds all there is.
 * Proved for maps of REGIONS regions of any place and size. Run by scripts/prove;
 * CBMC adds that no pointer leaves its object.
 */
#include "virtio/gmem.c"

#define REGIONS 2u

uint64_t nondet_u64(void);
unsigned nondet_unsigned(void);

static void add_any(struct gmem *gm)
{
	uint64_t size = nondet_u64();
	uint8_t *hva;

	/* No address space has more, and the host's mapping is that large. */
	__CPROVER_assume(size <= (1ull << 46));
	hva = malloc(size);
	__CPROVER_assume(hva != NULL);
	/* What it refuses leaves the map as it was: a smaller map. */
	__CPROVER_assume(gmem_add(gm, nondet_u64(), size, hva) == 0);
}

static const struct gmem_region *region_of(
	const struct gmem *gm, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < gm->n; i++) {
		const struct gmem_region *r = &gm->region[i];
		__uint128_t end = (__uint128_t)gpa + len;

		if (gpa >= r->gpa && end <= (__uint128_t)r->gpa + r->size)
			return r;
	}
	return NULL;
}

int main(void)
{
	struct gmem gm = {0};
	uint64_t gpa = nondet_u64(), len = nondet_u64();
	const struct gmem_region *want;
	uint8_t *p;

	for (unsigned i = 0; i < REGIONS; i++)
		add_any(&gm);
	p = gmem_ptr(&gm, gpa, len);
	want = len ? region_of(&gm, gpa, len) : NULL;
	__CPROVER_assert((p != NULL) == (want != NULL), "found if there");
	if (!p || !want)
		return 0;
	__CPROVER_assert(__CPROVER_rw_ok(p, len), "all of it is ours");
	__CPROVER_assert(p == want->hva + (gpa - want->gpa), "the right place");
	return 0;
}
