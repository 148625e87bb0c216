/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring walking: the input is the guest's memory, with the rings wherever its
 * first bytes say. Whatever is popped must lie inside the memory.
 *
 *   byte 0   bits 0-3 log2 of the ring's size, 4 event index, 5 indirect,
 *            6 small vector array, 7 memory in two regions
 *   1-6      offsets of descriptors, avail, used, in units of 16, 2, 4 bytes
 *   7-8      entry to begin at
 *   9-       memory from guest address GPA on
 */
#include "virtio/vq.h"

#include <assert.h>
#include <string.h>

#define MEM (128u * 1024u)
#define GPA 0x1000u
#define STEPS 300

static uint8_t mem[2][MEM] __attribute__((aligned(4096)));

static bool inside(const uint8_t *p, size_t len)
{
	for (int i = 0; i < 2; i++)
		if (p >= mem[i] && len <= MEM &&
			(size_t)(p - mem[i]) <= MEM - len)
			return true;
	return false;
}

/* Reads and writes every byte that the chain offers, as a device would. */
static void use(const struct vq_chain *c)
{
	uint8_t copy[64];
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->n_rd; i++) {
		assert(c->rd[i].iov_len &&
			inside(c->rd[i].iov_base, c->rd[i].iov_len));
		sum += c->rd[i].iov_len;
	}
	assert(sum == c->rd_len && sum <= VQ_BYTES_MAX);
	sum = 0;
	for (unsigned i = 0; i < c->n_wr; i++) {
		assert(c->wr[i].iov_len &&
			inside(c->wr[i].iov_base, c->wr[i].iov_len));
		sum += c->wr[i].iov_len;
	}
	assert(sum == c->wr_len && sum <= VQ_BYTES_MAX);
	assert(vq_iov_read(c->rd, c->n_rd, copy, sizeof(copy)) <= c->rd_len);
	assert(vq_iov_write(c->wr, c->n_wr, copy, sizeof(copy)) <= c->wr_len);
}

static void walk(struct vq *q, unsigned n_iov)
{
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c;

	for (int i = 0; i < STEPS; i++) {
		int r = vq_pop(q, iov, n_iov, &c);

		if (r <= 0)
			break;
		assert(c.n_rd + c.n_wr <= n_iov);
		use(&c);
		if (i % 7 == 3) {
			vq_unpop(q, 1);
			continue;
		}
		assert(vq_push(q, &c, c.wr_len));
		(void)vq_should_notify(q);
		if (i % 5 == 0)
			vq_kicks_off(q);
		(void)vq_kicks_on(q);
	}
}

static struct gmem *make_memory(const uint8_t *data, size_t size, bool two)
{
	struct gmem *gm = gmem_new();
	size_t n = MIN(size, (size_t)MEM);
	int r;

	memset(mem, 0, sizeof(mem));
	memcpy(mem[0], data, n);
	r = gmem_add(gm, GPA, MEM, mem[0]);
	assert(r == 0);
	if (two) {
		r = gmem_add(gm, GPA + MEM, MEM, mem[1]);
		assert(r == 0);
	}
	return gm;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vq q = {.generation = 0};
	struct vq_config cfg;
	struct gmem *gm;

	if (size < 9)
		return 0;
	cfg = (struct vq_config){
		.size = (uint16_t)(1u << (data[0] & 15)),
		.event_idx = data[0] & 16,
		.indirect = data[0] & 32,
		.desc = GPA + 16u * (data[1] | (uint32_t)data[2] << 8),
		.avail = GPA + 2u * (data[3] | (uint32_t)data[4] << 8),
		.used = GPA + 4u * (data[5] | (uint32_t)data[6] << 8),
	};
	gm = make_memory(data + 9, size - 9, data[0] & 128);
	if (vq_start(&q, gm, &cfg,
		    (uint16_t)(data[7] | (uint16_t)data[8] << 8)) == 0) {
		walk(&q, data[0] & 64 ? 3 : VQ_IOV_MAX);
		vq_stop(&q);
	}
	gmem_unref(gm);
	return 0;
}
