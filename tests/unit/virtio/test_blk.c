/* SPDX-License-Identifier: Apache-2.0 */
/* The block device: requests one by one, then through ring and thread. */
#include "cm.h"
#include "driver.h"
#include "virtio/blk_io.h"
#include "wire/wire.h"

#include <linux/memfd.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SECTORS 64u

struct request {
	uint8_t head[16 + 16 * 20];
	uint8_t data[4096];
	uint8_t status;
};

static struct request rq;
static struct blk_io io;

static int set_up(void **state)
{
	io = (struct blk_io){
		.fd = memfd_create("disk", MFD_CLOEXEC), .sectors = SECTORS};
	memcpy(io.serial, "a-serial", 8);
	assert_int_equal(ftruncate(io.fd, SECTORS * 512), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)close(io.fd);
	return 0;
}

/* head_len bytes to read, then data one way or the other, then the status. */
static uint32_t serve(uint32_t type, uint64_t sector, size_t head_len,
	size_t out_len, size_t in_len)
{
	struct iovec rd[2] = {{rq.head, head_len}, {rq.data, out_len}};
	struct iovec wr[2] = {{rq.data, in_len}, {&rq.status, 1}};
	struct vq_chain c = {.rd = rd,
		.wr = in_len ? wr : wr + 1,
		.n_rd = out_len ? 2 : 1,
		.n_wr = in_len ? 2 : 1,
		.rd_len = (uint32_t)(head_len + out_len),
		.wr_len = (uint32_t)(in_len + 1)};

	put_le32(rq.head, type);
	put_le32(rq.head + 4, 0);
	put_le64(rq.head + 8, sector);
	rq.status = 0xee;
	return blk_io_serve(&io, &c);
}

static void test_write_and_read(void **state)
{
	memset(rq.data, 0x5a, 1024);
	assert_int_equal(serve(VIRTIO_BLK_T_OUT, 3, 16, 1024, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_OK);
	memset(rq.data, 0, sizeof(rq.data));
	assert_int_equal(serve(VIRTIO_BLK_T_IN, 2, 16, 0, 2048), 2049);
	assert_int_equal(rq.status, VIRTIO_BLK_S_OK);
	assert_int_equal(rq.data[511], 0);
	assert_int_equal(rq.data[512], 0x5a);
	assert_int_equal(rq.data[1535], 0x5a);
	assert_int_equal(rq.data[1536], 0);
	assert_int_equal(serve(VIRTIO_BLK_T_FLUSH, 0, 16, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_OK);
}

static void assert_error(uint32_t type, uint64_t sector, size_t out, size_t in)
{
	assert_int_equal(serve(type, sector, 16, out, in), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_IOERR);
}

static void test_bounds(void **state)
{
	assert_error(VIRTIO_BLK_T_IN, SECTORS, 0, 512);
	assert_error(VIRTIO_BLK_T_IN, SECTORS - 1, 0, 1024);
	assert_error(VIRTIO_BLK_T_OUT, UINT64_MAX, 512, 0);
	assert_error(VIRTIO_BLK_T_OUT, UINT64_MAX / 512, 512, 0);
	assert_error(VIRTIO_BLK_T_IN, 0, 0, 511);
	assert_int_equal(serve(VIRTIO_BLK_T_IN, SECTORS - 1, 16, 0, 512), 513);
	/* A file that became shorter is an error, not a crash. */
	assert_int_equal(ftruncate(io.fd, 512), 0);
	assert_error(VIRTIO_BLK_T_IN, 2, 0, 512);
}

static void test_read_only(void **state)
{
	io.read_only = true;
	assert_error(VIRTIO_BLK_T_OUT, 0, 512, 0);
	assert_int_equal(serve(VIRTIO_BLK_T_FLUSH, 0, 16, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_OK);
	put_le64(rq.head + 16, 0);
	put_le32(rq.head + 24, 1);
	put_le32(rq.head + 28, 0);
	assert_int_equal(serve(VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_IOERR);
}

static void put_range(unsigned i, uint64_t sector, uint32_t n, uint32_t flags)
{
	uint8_t *p = rq.head + 16 + 16 * i;

	put_le64(p, sector);
	put_le32(p + 8, n);
	put_le32(p + 12, flags);
}

static void test_discard(void **state)
{
	struct stat st;

	memset(rq.data, 1, 4096);
	for (unsigned s = 0; s < SECTORS; s += 8)
		serve(VIRTIO_BLK_T_OUT, s, 16, 4096, 0);
	put_range(0, 0, 16, 0);
	put_range(1, 32, 32, 0);
	assert_int_equal(serve(VIRTIO_BLK_T_DISCARD, 0, 48, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_OK);
	assert_int_equal(fstat(io.fd, &st), 0);
	assert_int_equal(st.st_blocks, 16);
	put_range(0, 16, 8, 1);
	assert_int_equal(serve(VIRTIO_BLK_T_WRITE_ZEROES, 0, 32, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_OK);
	serve(VIRTIO_BLK_T_IN, 16, 16, 0, 4096);
	assert_int_equal(rq.data[0] | rq.data[4095], 0);
	/* One bad range spoils all: nothing is done. */
	put_range(0, 24, 8, 0);
	put_range(1, SECTORS - 1, 2, 0);
	assert_int_equal(serve(VIRTIO_BLK_T_DISCARD, 0, 48, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_IOERR);
	serve(VIRTIO_BLK_T_IN, 24, 16, 0, 512);
	assert_int_equal(rq.data[0], 1);
	put_range(0, 24, 8, 2);
	assert_int_equal(serve(VIRTIO_BLK_T_DISCARD, 0, 32, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(serve(VIRTIO_BLK_T_DISCARD, 0, 16 + 16 * 17, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_IOERR);
}

static void test_odd_requests(void **state)
{
	assert_int_equal(serve(77, 0, 16, 0, 0), 1);
	assert_int_equal(rq.status, VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(serve(VIRTIO_BLK_T_GET_ID, 0, 16, 0, 20), 21);
	assert_memory_equal(rq.data, "a-serial\0\0\0", 11);
	assert_error(VIRTIO_BLK_T_GET_ID, 0, 0, 19);
	assert_int_equal(serve(VIRTIO_BLK_T_IN, 0, 15, 0, 512), 0);
	assert_int_equal(io.stats.dropped, 1);
}

/* --- with ring, doorbell and thread ---------------------------------------- */

struct host {
	struct vdev_host host;
	int irq;
	atomic_uint failed;
};

static void on_notify(struct vdev_host *h, unsigned q)
{
	uint64_t one = 1;

	(void)!write(container_of(h, struct host, host)->irq, &one, 8);
}

static void on_failed(struct vdev_host *h, unsigned q)
{
	container_of(h, struct host, host)->failed++;
	on_notify(h, q);
}

static void wait_irq(struct host *h)
{
	struct pollfd p = {h->irq, POLLIN, 0};
	uint64_t n;

	assert_int_equal(poll(&p, 1, 30000), 1);
	(void)!read(h->irq, &n, 8);
}

static void test_through_the_ring(void **state)
{
	struct host h = {.host = {on_notify, on_failed},
		.irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct ram ram;
	struct driver drv;
	struct blk *b;
	uint64_t one = 1, head, data, status;
	uint32_t id, len;

	assert_int_equal(blk_new(io.fd, "s", false, &b, NULL), 0);
	blk_dev(b)->host = &h.host;
	ram_init(&ram);
	driver_init(&drv, &ram, 16);
	head = ram_alloc(&ram, 16, 8);
	data = ram_alloc(&ram, 512, 8);
	status = ram_alloc(&ram, 1, 1);
	const struct part p[3] = {
		{head, 16, false}, {data, 512, true}, {status, 1, true}};
	assert_int_equal(
		vdev_ack_features(blk_dev(b),
			VDEV_FEATURES & ~(1ull << VIRTIO_RING_F_EVENT_IDX)),
		0);
	for (int round = 0; round < 3; round++) {
		uint16_t at = (uint16_t)(round * 4);
		assert_int_equal(vdev_queue_start(blk_dev(b), 0, ram.gm,
					 &drv.cfg, at, bell),
			0);
		for (int i = 0; i < 4; i++) {
			driver_offer(&drv, driver_chain(&drv, p, 3));
			(void)!write(bell, &one, 8);
			while (!driver_used(&drv, &id, &len))
				wait_irq(&h);
			assert_int_equal(len, 513);
			drv.next_desc = 0;
		}
		/* Stopped, it does not touch the ring however often we ring. */
		assert_int_equal(vdev_queue_stop(blk_dev(b), 0), at + 4);
		(void)!write(bell, &one, 8);
	}
	assert_int_equal(h.failed, 0);
	blk_free(b);
	ram_done(&ram);
	(void)close(bell);
	(void)close(h.irq);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write_and_read),
		TEST(test_bounds),
		TEST(test_read_only),
		TEST(test_discard),
		TEST(test_odd_requests),
		TEST(test_through_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
