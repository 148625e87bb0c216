/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device, because it is the simplest with a ring. */
#include "guest.h"

static struct queue q;
static uint8_t page[4][4096] __attribute__((aligned(4096)));
static struct desc table[16] __attribute__((aligned(16)));

static bool any(const volatile uint8_t *p, size_t n)
{
	uint8_t or = 0;
	while (n--)
		or |= *p++;
	return or != 0;
}

static void one_buffer(uint64_t dev)
{
	start(dev, &q, 1);
	q.desc[0] = (struct desc){(uint64_t)page[0], 32, D_WRITE, 0};
	offer(dev, 0, &q, 0);
	check(await_used(&q, 1), "a buffer comes back");
	check(q.used.ring[0].id == 0, "under its own number");
	check(q.used.ring[0].len > 0 && q.used.ring[0].len <= 32, "with bytes");
	check(any(page[0], 32) && !any(page[0] + 32, 64), "and no more");
}

static void chain(uint64_t dev)
{
	start(dev, &q, 1);
	q.desc[3] = (struct desc){(uint64_t)page[1], 8, D_WRITE | D_NEXT, 7};
	q.desc[7] = (struct desc){(uint64_t)page[2], 8, D_WRITE, 0};
	offer(dev, 0, &q, 3);
	check(await_used(&q, 1) && q.used.ring[0].id == 3, "a chain");
}

static void indirect(uint64_t dev)
{
	start(dev, &q, 1);
	table[0] = (struct desc){(uint64_t)page[3], 16, D_WRITE, 0};
	q.desc[0] = (struct desc){(uint64_t)table, 16, D_INDIRECT, 0};
	offer(dev, 0, &q, 0);
	check(await_used(&q, 1) && any(page[3], 16), "an indirect table");
}

static void interrupt(uint64_t dev)
{
	irq_init();
	irq_route(5 + (unsigned)((dev - VIRTIO) / 4096), 42);
	start(dev, &q, 1);
	q.desc[0] = (struct desc){(uint64_t)page[0], 4, D_WRITE, 0};
	uint32_t before = seen[42];
	offer(dev, 0, &q, 0);
	check(irq_wait(42, before), "it interrupts");
	check(read32(dev + R_ISR) & 1, "and the register says why");
	write32(dev + R_ACK, 1);
}

void guest_main(void)
{
	uint64_t dev = find_device(4);

	check(dev != 0, "there is an entropy device");
	if (!dev)
		return;
	one_buffer(dev);
	chain(dev);
	indirect(dev);
	interrupt(dev);
}
