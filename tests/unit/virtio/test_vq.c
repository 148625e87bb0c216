/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "driver.h"

#include <errno.h>
#include <string.h>

struct bed {
	struct ram ram;
	struct driver drv;
	struct vq q;
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c;
};

static void bed_init(struct bed *b, uint16_t size, bool event_idx)
{
	memset(b, 0, sizeof(*b));
	ram_init(&b->ram);
	driver_init(&b->drv, &b->ram, size);
	b->drv.cfg.event_idx = event_idx;
	assert_int_equal(vq_start(&b->q, b->ram.gm, &b->drv.cfg, 0), 0);
}

static void bed_done(struct bed *b)
{
	vq_stop(&b->q);
	ram_done(&b->ram);
}

static int pop(struct bed *b)
{
	return vq_pop(&b->q, b->iov, VQ_IOV_MAX, &b->c);
}

static void assert_broken(struct bed *b)
{
	assert_int_equal(pop(b), -EBADMSG);
	assert_true(b->q.broken);
	/* It stays so, and nothing of it is shown any more. */
	assert_int_equal(pop(b), -EBADMSG);
	assert_false(vq_pending(&b->q));
}

static void test_chain(void **state)
{
	struct bed b;
	uint64_t in, gap, out;
	struct part p[3];
	uint32_t id, len;

	bed_init(&b, 8, false);
	in = ram_alloc(&b.ram, 100, 1);
	gap = ram_alloc(&b.ram, 1, 1);
	out = ram_alloc(&b.ram, 50, 1);
	p[0] = (struct part){in, 100, false};
	p[1] = (struct part){out, 20, true};
	p[2] = (struct part){gap, 1, true};
	memcpy(ram_at(&b.ram, in), "abc", 3);
	assert_int_equal(pop(&b), 0);
	driver_offer(&b.drv, driver_chain(&b.drv, p, 3));
	assert_true(vq_pending(&b.q));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.c.n_rd, 1);
	assert_int_equal(b.c.rd_len, 100);
	assert_int_equal(b.c.n_wr, 2);
	assert_int_equal(b.c.wr_len, 21);
	assert_memory_equal(b.c.rd[0].iov_base, "abc", 3);
	assert_ptr_equal(b.c.wr[1].iov_base, ram_at(&b.ram, gap));
	assert_int_equal(pop(&b), 0);
	assert_true(vq_push(&b.q, &b.c, 21));
	assert_true(driver_used(&b.drv, &id, &len));
	assert_int_equal(id, 0);
	assert_int_equal(len, 21);
	assert_false(driver_used(&b.drv, &id, &len));
	bed_done(&b);
}

/* Parts that touch are one vector, but never across the direction. */
static void test_neighbours_merge(void **state)
{
	struct bed b;
	uint64_t at;
	struct part p[4];

	bed_init(&b, 8, false);
	at = ram_alloc(&b.ram, 400, 1);
	for (unsigned i = 0; i < 4; i++)
		p[i] = (struct part){at + 100 * i, 100, i >= 2};
	driver_offer(&b.drv, driver_chain(&b.drv, p, 4));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.c.n_rd, 1);
	assert_int_equal(b.c.rd[0].iov_len, 200);
	assert_int_equal(b.c.n_wr, 1);
	assert_int_equal(b.c.wr[0].iov_len, 200);
	bed_done(&b);
}

static void test_empty_parts_vanish(void **state)
{
	struct bed b;
	const struct part p[] = {
		{0, 0, false}, {DRIVER_BASE, 4, false}, {UINT64_MAX, 0, true}};

	bed_init(&b, 8, false);
	driver_offer(&b.drv, driver_chain(&b.drv, p, 3));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.c.n_rd, 1);
	assert_int_equal(b.c.n_wr, 0);
	bed_done(&b);
}

/* A FUSE request of 256 pages with its heads, in an indirect table. */
static void test_huge_indirect(void **state)
{
	struct bed b;
	struct part p[VQ_IOV_MAX];
	uint64_t at;

	bed_init(&b, 16, false);
	at = ram_alloc(&b.ram, 2 * VQ_IOV_MAX, 1);
	for (unsigned i = 0; i < VQ_IOV_MAX; i++)
		p[i] = (struct part){at + 2 * i, 1, i > 0};
	driver_offer(&b.drv, driver_indirect(&b.drv, p, VQ_IOV_MAX));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.c.n_rd + b.c.n_wr, VQ_IOV_MAX);
	assert_int_equal(b.c.wr_len, VQ_IOV_MAX - 1);
	bed_done(&b);
}

static void test_too_many_parts(void **state)
{
	struct bed b;
	struct part p[VQ_IOV_MAX + 1];
	uint64_t at;

	bed_init(&b, 16, false);
	at = ram_alloc(&b.ram, 2 * VQ_IOV_MAX + 2, 1);
	for (unsigned i = 0; i <= VQ_IOV_MAX; i++)
		p[i] = (struct part){at + 2 * i, 1, true};
	driver_offer(&b.drv, driver_indirect(&b.drv, p, VQ_IOV_MAX + 1));
	assert_broken(&b);
	bed_done(&b);
}

/* A caller that collects several chains may run out of vectors itself. */
static void test_small_array_takes_nothing(void **state)
{
	struct bed b;
	uint64_t at;
	struct part p[3];

	bed_init(&b, 8, false);
	at = ram_alloc(&b.ram, 6, 1);
	for (unsigned i = 0; i < 3; i++)
		p[i] = (struct part){at + 2 * i, 1, true};
	driver_offer(&b.drv, driver_chain(&b.drv, p, 3));
	assert_int_equal(vq_pop(&b.q, b.iov, 2, &b.c), -ENOBUFS);
	assert_false(b.q.broken);
	assert_int_equal(vq_pop(&b.q, b.iov, 3, &b.c), 1);
	bed_done(&b);
}

static void test_loop(void **state)
{
	struct bed b;
	const struct part p[] = {
		{DRIVER_BASE, 1, false}, {DRIVER_BASE + 8, 1, false}};

	bed_init(&b, 8, false);
	driver_offer(&b.drv, driver_chain(&b.drv, p, 2));
	b.drv.desc[1].flags = VRING_DESC_F_NEXT;
	b.drv.desc[1].next = 0;
	assert_broken(&b);
	bed_done(&b);
}

/* Zero-length parts take no vector, so the steps are what ends this one. */
static void test_loop_of_nothing(void **state)
{
	struct bed b;
	struct part p[2] = {{DRIVER_BASE, 0, false}, {DRIVER_BASE, 0, false}};
	struct vring_desc *t;
	uint16_t head;

	bed_init(&b, 8, false);
	head = driver_indirect(&b.drv, p, 2);
	t = ram_at(&b.ram, b.drv.desc[head].addr);
	t[1].flags = VRING_DESC_F_NEXT;
	t[1].next = 0;
	driver_offer(&b.drv, head);
	assert_broken(&b);
	bed_done(&b);
}

static void test_bad_links(void **state)
{
	struct bed b;
	const struct part p[] = {
		{DRIVER_BASE, 1, false}, {DRIVER_BASE + 8, 1, false}};

	bed_init(&b, 8, false);
	driver_offer(&b.drv, 8);
	assert_broken(&b);
	bed_done(&b);

	bed_init(&b, 8, false);
	driver_offer(&b.drv, driver_chain(&b.drv, p, 2));
	b.drv.desc[0].next = 8;
	assert_broken(&b);
	bed_done(&b);
}

static void test_readable_after_writable(void **state)
{
	struct bed b;
	const struct part p[] = {
		{DRIVER_BASE, 1, true}, {DRIVER_BASE + 8, 1, false}};

	bed_init(&b, 8, false);
	driver_offer(&b.drv, driver_chain(&b.drv, p, 2));
	assert_broken(&b);
	bed_done(&b);
}

static void test_bad_addresses(void **state)
{
	const uint64_t end = DRIVER_BASE + DRIVER_RAM;
	const struct part bad[] = {
		{0, 1, false},
		{DRIVER_BASE - 1, 2, false},
		{end, 1, false},
		{end - 1, 2, false},
		{DRIVER_BASE, UINT32_MAX, true},
		{UINT64_MAX, 1, true},
		{UINT64_MAX - 3, 8, true},
	};
	struct bed b;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		bed_init(&b, 8, false);
		driver_offer(&b.drv, driver_chain(&b.drv, &bad[i], 1));
		assert_broken(&b);
		bed_done(&b);
	}
}

static void test_last_byte_of_memory(void **state)
{
	const uint64_t end = DRIVER_BASE + DRIVER_RAM;
	const struct part p = {end - 16, 16, true};
	struct bed b;

	bed_init(&b, 8, false);
	driver_offer(&b.drv, driver_chain(&b.drv, &p, 1));
	assert_int_equal(pop(&b), 1);
	memset(b.c.wr[0].iov_base, 7, b.c.wr[0].iov_len);
	assert_int_equal(b.ram.mem[DRIVER_RAM - 1], 7);
	bed_done(&b);
}

/* The same megabytes again and again: the sum is bounded. */
static void test_overlapping_sum(void **state)
{
	struct part p[VQ_IOV_MAX];
	struct bed b;

	bed_init(&b, 16, false);
	for (unsigned i = 0; i < VQ_IOV_MAX; i++)
		p[i] = (struct part){DRIVER_BASE, DRIVER_RAM, true};
	driver_offer(&b.drv, driver_indirect(&b.drv, p, VQ_IOV_MAX));
	assert_broken(&b);
	bed_done(&b);
}

static void test_bad_indirect(void **state)
{
	static const struct {
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{0, VRING_DESC_F_INDIRECT},
		{15, VRING_DESC_F_INDIRECT},
		{24, VRING_DESC_F_INDIRECT},
		{DRIVER_RAM + 16, VRING_DESC_F_INDIRECT},
		{16u * 65536, VRING_DESC_F_INDIRECT},
		{16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT},
	};
	const struct part p = {DRIVER_BASE, 1, false};
	struct bed b;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint16_t head;

		bed_init(&b, 8, false);
		head = driver_indirect(&b.drv, &p, 1);
		b.drv.desc[head].len = bad[i].len;
		b.drv.desc[head].flags = bad[i].flags;
		driver_offer(&b.drv, head);
		assert_broken(&b);
		bed_done(&b);
	}
}

static void test_indirect_in_indirect(void **state)
{
	const struct part p = {DRIVER_BASE, 16, false};
	struct vring_desc *t;
	struct bed b;
	uint16_t head;

	bed_init(&b, 8, false);
	head = driver_indirect(&b.drv, &p, 1);
	t = ram_at(&b.ram, b.drv.desc[head].addr);
	t[0].flags = VRING_DESC_F_INDIRECT;
	driver_offer(&b.drv, head);
	assert_broken(&b);
	bed_done(&b);
}

static void test_indirect_not_negotiated(void **state)
{
	const struct part p = {DRIVER_BASE, 16, false};
	struct bed b;

	bed_init(&b, 8, false);
	vq_stop(&b.q);
	b.drv.cfg.indirect = false;
	assert_int_equal(vq_start(&b.q, b.ram.gm, &b.drv.cfg, 0), 0);
	driver_offer(&b.drv, driver_indirect(&b.drv, &p, 1));
	assert_broken(&b);
	bed_done(&b);
}

static void test_index_runs_ahead(void **state)
{
	struct bed b;

	bed_init(&b, 8, false);
	b.drv.avail[1] = 9;
	assert_broken(&b);
	bed_done(&b);
}

/* 70,000 chains: both indices wrap at 65,536 and the ring at its size. */
static void test_indices_wrap(void **state)
{
	const struct part p = {DRIVER_BASE + 4096, 8, true};
	struct bed b;
	uint32_t id, len;

	bed_init(&b, 4, false);
	for (unsigned i = 0; i < 70000; i++) {
		uint16_t head = driver_chain(&b.drv, &p, 1);

		driver_offer(&b.drv, head);
		assert_int_equal(pop(&b), 1);
		assert_true(vq_push(&b.q, &b.c, i));
		assert_true(driver_used(&b.drv, &id, &len));
		assert_int_equal(id, head);
		assert_int_equal(len, i);
	}
	bed_done(&b);
}

static void test_unpop(void **state)
{
	const struct part p = {DRIVER_BASE + 4096, 8, true};
	struct bed b;

	bed_init(&b, 8, false);
	for (int i = 0; i < 3; i++)
		driver_offer(&b.drv, driver_chain(&b.drv, &p, 1));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.c.head, 1);
	vq_unpop(&b.q, 1);
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.c.head, 1);
	bed_done(&b);
}

/* What was in hand when the driver reset the queue is nobody's any more. */
static void test_push_after_reset(void **state)
{
	const struct part p = {DRIVER_BASE + 4096, 8, true};
	struct bed b;
	uint32_t id, len;

	bed_init(&b, 8, false);
	driver_offer(&b.drv, driver_chain(&b.drv, &p, 1));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(vq_stop(&b.q), 1);
	assert_false(vq_push(&b.q, &b.c, 8));
	assert_int_equal(vq_start(&b.q, b.ram.gm, &b.drv.cfg, 1), 0);
	assert_false(vq_push(&b.q, &b.c, 8));
	assert_false(driver_used(&b.drv, &id, &len));
	bed_done(&b);
}

/* Moving the rings under a live queue changes nothing. */
static void test_configuration_is_frozen(void **state)
{
	const struct part p = {DRIVER_BASE + 4096, 8, true};
	struct bed b;

	bed_init(&b, 8, false);
	b.drv.cfg.desc = UINT64_MAX;
	b.drv.cfg.size = 1024;
	driver_offer(&b.drv, driver_chain(&b.drv, &p, 1));
	assert_int_equal(pop(&b), 1);
	assert_int_equal(b.q.cfg.size, 8);
	bed_done(&b);
}

static void test_bad_configuration(void **state)
{
	const uint64_t end = DRIVER_BASE + DRIVER_RAM;
	struct vq_config good, bad;
	struct bed b;

	bed_init(&b, 8, false);
	vq_stop(&b.q);
	good = b.drv.cfg;
	for (int i = 0; i < 9; i++) {
		bad = good;
		switch (i) {
		case 0:
			bad.size = 0;
			break;
		case 1:
			bad.size = 7;
			break;
		case 2:
			bad.size = 2048;
			break;
		case 3:
			bad.desc += 8;
			break;
		case 4:
			bad.avail += 1;
			break;
		case 5:
			bad.used += 2;
			break;
		case 6:
			bad.desc = end - 16;
			break;
		case 7:
			bad.avail = 0;
			break;
		case 8:
			bad.used = UINT64_MAX - 3;
			break;
		}
		assert_int_equal(vq_start(&b.q, b.ram.gm, &bad, 0), -EINVAL);
		assert_false(b.q.live);
	}
	/* A ring may end with the memory. */
	bad = good;
	bad.used = end - (4 + 8 * 8);
	assert_int_equal(vq_start(&b.q, b.ram.gm, &bad, 0), 0);
	bed_done(&b);
}

static void push_one(struct bed *b)
{
	const struct part p = {DRIVER_BASE + 4096, 8, true};

	driver_offer(&b->drv, driver_chain(&b->drv, &p, 1));
	assert_int_equal(pop(b), 1);
	assert_true(vq_push(&b->q, &b->c, 0));
}

static void test_notify_flag(void **state)
{
	struct bed b;

	bed_init(&b, 8, false);
	assert_false(vq_should_notify(&b.q)); /* of nothing */
	push_one(&b);
	assert_true(vq_should_notify(&b.q));
	assert_false(vq_should_notify(&b.q)); /* once is enough */
	push_one(&b);
	b.drv.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(vq_should_notify(&b.q));
	bed_done(&b);
}

static void test_notify_event(void **state)
{
	struct bed b;
	uint16_t *event;

	bed_init(&b, 8, true);
	event = &b.drv.avail[2 + 8];
	push_one(&b);
	assert_true(vq_should_notify(&b.q)); /* the first always */
	*event = 3; /* tell me when you have used the fourth */
	push_one(&b);
	push_one(&b);
	assert_false(vq_should_notify(&b.q));
	push_one(&b);
	assert_true(vq_should_notify(&b.q));
	push_one(&b);
	assert_false(vq_should_notify(&b.q));
	bed_done(&b);
}

static void test_kicks_flag(void **state)
{
	struct bed b;

	bed_init(&b, 8, false);
	vq_kicks_off(&b.q);
	assert_int_equal(b.drv.used[0], VRING_USED_F_NO_NOTIFY);
	assert_false(vq_kicks_on(&b.q));
	assert_int_equal(b.drv.used[0], 0);
	driver_offer(&b.drv, 0);
	assert_true(vq_kicks_on(&b.q));
	bed_done(&b);
}

static void test_kicks_event(void **state)
{
	struct bed b;

	bed_init(&b, 8, true);
	push_one(&b);
	push_one(&b);
	assert_false(vq_kicks_on(&b.q));
	assert_int_equal(b.drv.used[2 + 4 * 8], 2);
	bed_done(&b);
}

static void test_iov_helpers(void **state)
{
	char a[] = "abc", b[] = "defgh", out[16] = "";
	const struct iovec iov[] = {{a, 3}, {b, 0}, {b, 5}};
	struct iovec part[3];

	assert_int_equal(vq_iov_read(iov, 3, out, 16), 8);
	assert_memory_equal(out, "abcdefgh", 8);
	assert_int_equal(vq_iov_slice(iov, 3, 2, 3, part), 2);
	assert_ptr_equal(part[0].iov_base, a + 2);
	assert_int_equal(part[0].iov_len, 1);
	assert_int_equal(part[1].iov_len, 2);
	assert_int_equal(vq_iov_slice(iov, 3, 8, 3, part), 0);
	assert_int_equal(vq_iov_slice(iov, 3, 0, 0, part), 0);
	assert_int_equal(vq_iov_write(iov, 3, "12345", 5), 5);
	assert_memory_equal(a, "123", 3);
	assert_memory_equal(b, "45fgh", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_neighbours_merge),
		cmocka_unit_test(test_empty_parts_vanish),
		cmocka_unit_test(test_huge_indirect),
		cmocka_unit_test(test_too_many_parts),
		cmocka_unit_test(test_small_array_takes_nothing),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_loop_of_nothing),
		cmocka_unit_test(test_bad_links),
		cmocka_unit_test(test_readable_after_writable),
		cmocka_unit_test(test_bad_addresses),
		cmocka_unit_test(test_last_byte_of_memory),
		cmocka_unit_test(test_overlapping_sum),
		cmocka_unit_test(test_bad_indirect),
		cmocka_unit_test(test_indirect_in_indirect),
		cmocka_unit_test(test_indirect_not_negotiated),
		cmocka_unit_test(test_index_runs_ahead),
		cmocka_unit_test(test_indices_wrap),
		cmocka_unit_test(test_unpop),
		cmocka_unit_test(test_push_after_reset),
		cmocka_unit_test(test_configuration_is_frozen),
		cmocka_unit_test(test_bad_configuration),
		cmocka_unit_test(test_notify_flag),
		cmocka_unit_test(test_notify_event),
		cmocka_unit_test(test_kicks_flag),
		cmocka_unit_test(test_kicks_event),
		cmocka_unit_test(test_iov_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
