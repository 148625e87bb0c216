/* SPDX-License-Identifier: Apache-2.0 */
/* Memory-mapped registers: what they hold, what may be written when. */
#include "guest.h"

static struct queue queue;

static void identity(uint64_t dev)
{
	check(read32(dev + R_MAGIC) == 0x74726976, "magic");
	check(read32(dev + R_VERSION) == 2, "version 2");
	check(read32(dev + R_CONFIG - 0x50) == 0xffffffff, "no shared memory");
	write32(dev + R_MAGIC, 0);
	write32(dev + R_DEVICE, 99);
	check(read32(dev + R_MAGIC) == 0x74726976 &&
			read32(dev + R_DEVICE) != 99,
		"identity cannot be written");
}

static void order(uint64_t dev)
{
	reset(dev);
	write32(dev + R_STATUS, 4);
	check(read32(dev + R_STATUS) == 0, "DRIVER_OK first is refused");
	write32(dev + R_STATUS, 1);
	write32(dev + R_STATUS, 1 | 8);
	check(read32(dev + R_STATUS) == 1, "FEATURES_OK without DRIVER, too");
	write32(dev + R_STATUS, 3);
	write32(dev + R_ACKED_SEL, 0);
	write32(dev + R_ACKED, 0xffffffff);
	write32(dev + R_ACKED_SEL, 1);
	write32(dev + R_ACKED, 0xffffffff);
	write32(dev + R_STATUS, 11);
	check(read32(dev + R_STATUS) == 3, "features nobody offered");
	write32(dev + R_ACKED, 0);
	write32(dev + R_ACKED_SEL, 0);
	write32(dev + R_ACKED, 0);
	write32(dev + R_STATUS, 11);
	check(read32(dev + R_STATUS) == 3, "a driver older than virtio 1.0");
}

static void frozen(uint64_t dev)
{
	write32(dev + R_QUEUE_SEL, 0);
	check(read32(dev + R_QUEUE_READY) == 0, "no queue is ready at first");
	start(dev, &queue, 1);
	check(read32(dev + R_STATUS) == 15, "it runs");
	write32(dev + R_QUEUE_SEL, 0);
	write32(dev + R_QUEUE_READY, 0);
	check(read32(dev + R_QUEUE_READY) == 1, "a live queue stays ready");
	write32(dev + R_ACKED, 0);
	write32(dev + R_STATUS, 7);
	check(read32(dev + R_STATUS) == 15, "bits are never taken back");
	reset(dev);
	check(read32(dev + R_STATUS) == 0, "reset");
	write32(dev + R_QUEUE_SEL, 0);
	check(read32(dev + R_QUEUE_READY) == 0, "reset clears the queues");
	write32(dev + R_QUEUE_SEL, 77);
	check(read32(dev + R_QUEUE_MAX) == 0, "there is no queue 77");
}

void guest_main(void)
{
	uint64_t dev = find_device(4);

	check(read32(0xc8000000) == 0xffffffff, "nobody answers with ones");
	write32(0xc8000000, 1);
	check(dev != 0, "there is a device");
	if (!dev)
		return;
	identity(dev);
	order(dev);
	frozen(dev);
}
