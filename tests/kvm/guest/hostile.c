/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings that a driver never builds: loops, chains without end, addresses at
 * and past the end of memory. The device may call itself broken; a reset must
 * bring it back, and it must never answer outside the buffers.
 */
#include "guest.h"

#define NEEDS_RESET 64
#define LOW_END (64ull << 20) /* the driver script gives 64 MiB */

static struct queue q;
static uint8_t buffer[64] __attribute__((aligned(64)));
static struct desc table[QSIZE * 2] __attribute__((aligned(16)));

/* True when the device either answered or said that it is broken. */
static bool settled(uint64_t dev)
{
	uint64_t since = 0;

	do {
		if (*(volatile uint16_t *)&q.used.idx == 1)
			return true;
		if (read32(dev + R_STATUS) & NEEDS_RESET)
			return true;
	} while (waiting(&since));
	return false;
}

static bool works(uint64_t dev)
{
	start(dev, &q, 1);
	q.desc[0] = (struct desc){(uint64_t)buffer, 16, D_WRITE, 0};
	offer(dev, 0, &q, 0);
	return await_used(&q, 1);
}

static void attempt(uint64_t dev, uint16_t head, const char *name)
{
	offer(dev, 0, &q, head);
	bool ok = settled(dev);
	check(ok && works(dev), name);
	start(dev, &q, 1);
}

static void addresses(uint64_t dev)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		const char *name;
	} bad[] = {
		{LOW_END - 8, 16, "a buffer across the end of memory"},
		{LOW_END, 16, "a buffer past the end of memory"},
		{0xd0000000, 16, "a buffer in a device"},
		{0xfffffffffffffff0, 0x20, "a buffer that wraps"},
		{0x100000000, 16, "a buffer in the hole at 4 GiB"},
		{0x1000, 0xffffffff, "a buffer of 4 GiB"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		q.desc[0] = (struct desc){bad[i].addr, bad[i].len, D_WRITE, 0};
		attempt(dev, 0, bad[i].name);
	}
	q.desc[0] = (struct desc){LOW_END - 16, 16, D_WRITE, 0};
	offer(dev, 0, &q, 0);
	check(await_used(&q, 1), "the last bytes of memory are good");
	start(dev, &q, 1);
}

static void chains(uint64_t dev)
{
	q.desc[0] = (struct desc){(uint64_t)buffer, 1, D_WRITE | D_NEXT, 0};
	attempt(dev, 0, "a descriptor that follows itself");
	q.desc[0] = (struct desc){(uint64_t)buffer, 1, D_WRITE | D_NEXT, 1};
	q.desc[1] = (struct desc){(uint64_t)buffer, 1, D_WRITE | D_NEXT, 0};
	attempt(dev, 0, "a loop of two");
	q.desc[0] = (struct desc){(uint64_t)buffer, 1, D_WRITE | D_NEXT, 999};
	attempt(dev, 0, "a next outside the table");
	attempt(dev, 5000, "a head outside the table");
	for (uint16_t i = 0; i < QSIZE * 2; i++)
		table[i] = (struct desc){(uint64_t)buffer, 1, D_WRITE | D_NEXT,
			(uint16_t)(i + 1)};
	q.desc[0] =
		(struct desc){(uint64_t)table, sizeof(table), D_INDIRECT, 0};
	attempt(dev, 0, "an indirect chain longer than the queue");
	table[0] = (struct desc){(uint64_t)table, 16, D_INDIRECT, 0};
	q.desc[0] = (struct desc){(uint64_t)table, 16, D_INDIRECT, 0};
	attempt(dev, 0, "an indirect table in an indirect table");
	q.desc[0] = (struct desc){(uint64_t)table, 17, D_INDIRECT, 0};
	attempt(dev, 0, "an indirect table of an odd length");
	q.desc[0] = (struct desc){(uint64_t)buffer, 0, D_WRITE, 0};
	attempt(dev, 0, "an empty buffer");
	q.desc[0] = (struct desc){(uint64_t)buffer, 16, 0, 0};
	attempt(dev, 0, "a buffer only to read");
}

static void counters(uint64_t dev)
{
	q.avail.idx = 40000;
	write32(dev + R_NOTIFY, 0);
	uint64_t since = 0;
	bool ok;
	do
		ok = read32(dev + R_STATUS) & NEEDS_RESET;
	while (!ok && waiting(&since));
	check(ok && works(dev), "an index far ahead breaks the queue only");
}

static void rings_elsewhere(uint64_t dev)
{
	negotiate(dev);
	queue_setup(dev, 0, &q);
	write32(dev + R_QUEUE_READY, 0);
	write32(dev + R_DESC, (uint32_t)LOW_END);
	write32(dev + R_QUEUE_READY, 1);
	write32(dev + R_STATUS, 15);
	check(read32(dev + R_STATUS) & NEEDS_RESET, "a ring outside memory");
	negotiate(dev);
	queue_setup(dev, 0, &q);
	write32(dev + R_QUEUE_READY, 0);
	write32(dev + R_QUEUE_NUM, 63);
	write32(dev + R_QUEUE_READY, 1);
	write32(dev + R_STATUS, 15);
	check(read32(dev + R_STATUS) & NEEDS_RESET, "a size that is no power");
	check(works(dev), "and it works after a reset");
}

/* Live queues must not move: CVE-2026-5747 in another monitor. */
static void moved(uint64_t dev)
{
	static struct queue other;

	start(dev, &q, 1);
	write32(dev + R_QUEUE_SEL, 0);
	write32(dev + R_QUEUE_NUM, 32768);
	write32(dev + R_USED, (uint32_t)(uint64_t)&other.used);
	write32(dev + R_DESC, 0xfffffff0);
	q.desc[0] = (struct desc){(uint64_t)buffer, 16, D_WRITE, 0};
	offer(dev, 0, &q, 0);
	check(await_used(&q, 1) && other.used.idx == 0,
		"a live queue cannot be moved or resized");
}

void guest_main(void)
{
	uint64_t dev = find_device(4);

	check(dev && works(dev), "the entropy device works");
	if (!dev)
		return;
	start(dev, &q, 1);
	addresses(dev);
	chains(dev);
	counters(dev);
	rings_elsewhere(dev);
	moved(dev);
}
