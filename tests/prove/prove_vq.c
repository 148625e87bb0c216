/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vq_pop() and vq_push() on rings whose every byte is the guest's, and changes
 * at will between two looks: what comes out are buffers that lie inside guest
 * memory, no more than there is room for, with true sums; a refused chain
 * changes nothing of the caller's. CBMC adds that no pointer leaves its object
 * and that the walk ends.
 *
 * The limits are smaller than the real ones, so that all walks can be looked
 * at; addresses, lengths and the memory's size are not. gmem_ptr() stands here
 * as prove_gmem.c proves it. Run by scripts/prove.
 */
#include "virtio/vq.h"

#include <errno.h>
#include <string.h>

#undef VQ_SIZE_MAX
#define VQ_SIZE_MAX 2u
#undef VQ_IOV_MAX
#define VQ_IOV_MAX 2u

uint64_t nondet_u64(void);
uint16_t nondet_u16(void);
unsigned nondet_unsigned(void);
_Bool nondet_bool(void);
struct vring_desc nondet_desc(void);

static uint8_t *memory;
static uint64_t memory_size;

/* Shared memory: must be ours, reads as anything, keeps nothing. */
#define __atomic_load_n(p, order)                                   \
	(__CPROVER_assert(__CPROVER_r_ok(p, sizeof(*(p))), "load"), \
		nondet_u16())
#define __atomic_store_n(p, v, order) \
	__CPROVER_assert(__CPROVER_w_ok(p, sizeof(*(p))), "store")
static void copy_desc_stub(void *to, const void *from, size_t len);
#define memcpy(to, from, len) copy_desc_stub(to, from, len)
#include "virtio/vq.c"
#undef memcpy

static void copy_desc_stub(void *to, const void *from, size_t len)
{
	struct vring_desc d = nondet_desc();

	__CPROVER_assert(__CPROVER_r_ok(from, len), "descriptor is in memory");
	if (len == sizeof(d))
		*(struct vring_desc *)to = d;
}

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

static void check_chain(const struct vq_chain *c, unsigned room)
{
	uint64_t rd = 0, wr = 0;

	__CPROVER_assert(c->n_rd <= room && c->n_wr <= room - c->n_rd,
		"no more parts than room");
	for (unsigned i = 0; i < VQ_IOV_MAX; i++) {
		if (i < c->n_rd) {
			__CPROVER_assert(c->rd[i].iov_len > 0 &&
					__CPROVER_r_ok(c->rd[i].iov_base,
						c->rd[i].iov_len),
				"what is read is in guest memory");
			rd += c->rd[i].iov_len;
		}
		if (i < c->n_wr) {
			__CPROVER_assert(c->wr[i].iov_len > 0 &&
					__CPROVER_w_ok(c->wr[i].iov_base,
						c->wr[i].iov_len),
				"what is written is in guest memory");
			wr += c->wr[i].iov_len;
		}
	}
	__CPROVER_assert(rd == c->rd_len && rd <= VQ_BYTES_MAX, "sum read");
	__CPROVER_assert(wr == c->wr_len && wr <= VQ_BYTES_MAX, "sum written");
}

static bool start(struct vq *q)
{
	static struct gmem gm;
	struct vq_config cfg = {.desc = nondet_u64(),
		.avail = nondet_u64(),
		.used = nondet_u64(),
		.size = nondet_u16(),
		.event_idx = nondet_bool(),
		.indirect = nondet_bool()};

	return vq_start(q, &gm, &cfg, nondet_u16()) == 0;
}

int main(void)
{
	struct vq q = {0};
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c, before;
	unsigned room = nondet_unsigned();
	int r;

	memory_size = nondet_u64();
	__CPROVER_assume(memory_size <= (1ull << 40));
	memory = malloc(memory_size);
	__CPROVER_assume(memory != NULL && ((uintptr_t)memory & 4095) == 0);
	__CPROVER_assume(room >= 1 && room <= VQ_IOV_MAX);
	if (!start(&q))
		return 0;
	before = c;
	r = vq_pop(&q, iov, room, &c);
	__CPROVER_assert(
		r == 1 || r == 0 || r == -EBADMSG || r == -ENOBUFS, "result");
	__CPROVER_assert(q.broken == (r == -EBADMSG), "broken says so");
	if (r != 1) {
		__CPROVER_assert(c.head == before.head && c.rd == before.rd &&
				c.n_rd == before.n_rd && c.n_wr == before.n_wr,
			"written on success only");
		return 0;
	}
	check_chain(&c, room);
	__CPROVER_assert(vq_push(&q, &c, c.wr_len), "given back");
	(void)vq_should_notify(&q);
	(void)vq_stop(&q);
	__CPROVER_assert(!vq_push(&q, &c, 0), "not after the end");
	return 0;
}
