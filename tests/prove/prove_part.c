/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step of the walk over a chain, with the real limits and from any state
 * that the steps before can have left: a descriptor of any content adds a
 * part that lies in guest memory, or lengthens the last one by bytes that do,
 * or is refused; sums and counts stay true and below their limits. With
 * prove_vq.c, which looks at whole walks over small rings, this is what makes
 * chains of any length safe. Run by scripts/prove.
 */
#include "virtio/vq.h"

#include <errno.h>
#include <string.h>

uint64_t nondet_u64(void);
uint32_t nondet_u32(void);
uint16_t nondet_u16(void);
_Bool nondet_bool(void);

#include "virtio/vq.c"

static uint8_t *memory;
static uint64_t memory_size;

void *gmem_ptr(const struct gmem *gm, uint64_t gpa, uint64_t len)
{
	if (!len || gpa >= memory_size || len > memory_size - gpa)
		return NULL;
	return memory + gpa;
}

struct gmem *gmem_ref(struct gmem *gm)
{
	return gm;
}

void gmem_unref(struct gmem *gm)
{
}

/* Where the last part lies, as offsets into guest memory. */
static uint64_t last_at, last_len;

static struct walk any_walk(struct iovec *iov, struct vq_chain *c)
{
	struct walk w = {.iov = iov, .writing = nondet_bool()};

	w.n_iov = nondet_u32();
	__CPROVER_assume(w.n_iov >= 1 && w.n_iov <= VQ_IOV_MAX);
	c->n_rd = nondet_u32();
	c->n_wr = nondet_u32();
	__CPROVER_assume(c->n_rd <= w.n_iov && c->n_wr <= w.n_iov - c->n_rd);
	__CPROVER_assume(w.writing || c->n_wr == 0);
	w.n = c->n_rd + c->n_wr;
	c->rd_len = nondet_u32();
	c->wr_len = nondet_u32();
	__CPROVER_assume(
		c->rd_len <= VQ_BYTES_MAX && c->wr_len <= VQ_BYTES_MAX);
	last_at = nondet_u64();
	last_len = nondet_u64();
	__CPROVER_assume(last_at < memory_size && last_len >= 1 &&
		last_len <= memory_size - last_at && last_len <= VQ_BYTES_MAX);
	/* The last part is one of those that were summed up. */
	__CPROVER_assume(
		last_len <= (c->n_wr ? c->wr_len : c->rd_len) || w.n == 0);
	if (w.n > 0)
		iov[w.n - 1] = (struct iovec){memory + last_at, last_len};
	return w;
}

static void check_last(const struct walk *w)
{
	const struct iovec *v = &w->iov[w->n - 1];

	__CPROVER_assert(v->iov_len >= 1, "not empty");
	__CPROVER_assert(__CPROVER_rw_ok(v->iov_base, v->iov_len),
		"the last part is in guest memory");
}

static void one_part(void)
{
	static struct iovec iov[VQ_IOV_MAX];
	struct vq q = {.live = true};
	struct vq_chain c = {.generation = 0}, old;
	struct walk w = any_walk(iov, &c), was = w;
	struct vring_desc d = {
		nondet_u64(), nondet_u32(), nondet_u16(), nondet_u16()};
	bool write = d.flags & VRING_DESC_F_WRITE;
	int r;

	old = c;
	r = add_part(&q, &w, &c, &d);
	__CPROVER_assert(r == 0 || r == -EBADMSG || r == -ENOBUFS, "result");
	if (r < 0)
		return;
	__CPROVER_assert(w.n <= w.n_iov && w.n == c.n_rd + c.n_wr, "counts");
	__CPROVER_assert(w.n == was.n || w.n == was.n + 1, "one at most");
	__CPROVER_assert(w.writing || c.n_wr == 0, "order");
	__CPROVER_assert((uint64_t)c.rd_len ==
			(uint64_t)old.rd_len + (write ? 0 : d.len),
		"sum read");
	__CPROVER_assert((uint64_t)c.wr_len ==
			(uint64_t)old.wr_len + (write ? d.len : 0),
		"sum written");
	__CPROVER_assert(c.rd_len <= VQ_BYTES_MAX && c.wr_len <= VQ_BYTES_MAX,
		"below the limit");
	if (w.n > 0)
		check_last(&w);
}

static void one_table(void)
{
	struct vq q = {.live = true, .cfg = {.indirect = nondet_bool()}};
	struct walk w = {.inside = nondet_bool(), .steps = nondet_u32()};
	struct vring_desc d = {
		nondet_u64(), nondet_u32(), nondet_u16(), nondet_u16()};
	bool inside = w.inside;

	if (enter_indirect(&q, &w, &d) < 0)
		return;
	__CPROVER_assert(!inside && w.inside, "once only: the walk ends");
	__CPROVER_assert(w.steps >= 1 && w.steps <= VQ_SIZE_MAX, "bounded");
	__CPROVER_assert(w.n_table >= 1 &&
			__CPROVER_r_ok(w.table, 16 * (size_t)w.n_table),
		"the table is in guest memory");
}

int main(void)
{
	memory_size = nondet_u64();
	__CPROVER_assume(memory_size >= 1 && memory_size <= (1ull << 40));
	memory = malloc(memory_size);
	__CPROVER_assume(memory != NULL);
	if (nondet_bool())
		one_part();
	else
		one_table();
	return 0;
}
