/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

uint64_t find_device(uint32_t id)
{
	for (uint64_t dev = VIRTIO; dev < VIRTIO + 19 * 4096; dev += 4096)
		if (read32(dev + R_MAGIC) == 0x74726976 &&
			read32(dev + R_DEVICE) == id)
			return dev;
	return 0;
}

void reset(uint64_t dev)
{
	write32(dev + R_STATUS, 0);
}

void negotiate(uint64_t dev)
{
	reset(dev);
	write32(dev + R_STATUS, 1);
	write32(dev + R_STATUS, 3);
	for (uint32_t sel = 0; sel < 2; sel++) {
		write32(dev + R_FEATURES_SEL, sel);
		write32(dev + R_ACKED_SEL, sel);
		uint32_t offered = read32(dev + R_FEATURES);
		if (sel == 0)
			offered &= ~(1u << 29); /* no event index: simpler */
		write32(dev + R_ACKED, offered);
	}
	write32(dev + R_STATUS, 11);
}

static void put_address(uint64_t reg, const volatile void *p)
{
	write32(reg, (uint32_t)(uint64_t)p);
	write32(reg + 4, (uint32_t)((uint64_t)p >> 32));
}

void queue_setup(uint64_t dev, unsigned index, struct queue *q)
{
	for (size_t i = 0; i < sizeof(*q) / 8; i++)
		((volatile uint64_t *)(void *)q)[i] = 0;
	write32(dev + R_QUEUE_SEL, index);
	write32(dev + R_QUEUE_NUM, QSIZE);
	put_address(dev + R_DESC, q->desc);
	put_address(dev + R_AVAIL, &q->avail);
	put_address(dev + R_USED, &q->used);
	write32(dev + R_QUEUE_READY, 1);
}

void start(uint64_t dev, struct queue *q, unsigned n)
{
	negotiate(dev);
	for (unsigned i = 0; i < n; i++)
		queue_setup(dev, i, &q[i]);
	write32(dev + R_STATUS, 15);
}

void offer(uint64_t dev, unsigned index, struct queue *q, uint16_t head)
{
	q->avail.ring[q->avail.idx % QSIZE] = head;
	barrier();
	q->avail.idx++;
	barrier();
	write32(dev + R_NOTIFY, index);
}

/* Each port access hands the processor back for a moment. */
bool waiting(uint64_t *since)
{
	if (*since == 0)
		*since = ticks();
	(void)inb(POWER);
	return ticks() - *since < PATIENCE;
}

bool await_used(struct queue *q, uint16_t n)
{
	uint64_t since = 0;

	do
		if (*(volatile uint16_t *)&q->used.idx == n)
			return true;
	while (waiting(&since));
	return false;
}
