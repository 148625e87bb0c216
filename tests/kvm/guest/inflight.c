/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset with requests in flight, again and again: once the status register
 * reads zero, the device must never touch rings or buffers again.
 */
#include "guest.h"

#define REQUESTS 20u
#define BYTES 16384u
#define ROUNDS 8u

static struct queue q;
static struct {
	uint32_t type, priority;
	uint64_t sector;
} head __attribute__((aligned(16)));
static uint8_t buffer[BYTES] __attribute__((aligned(4096)));
static uint8_t status[REQUESTS];

static void offer_all(uint64_t dev)
{
	for (uint16_t i = 0; i < REQUESTS; i++) {
		uint16_t d = (uint16_t)(3 * i);
		q.desc[d] = (struct desc){
			(uint64_t)&head, 16, D_NEXT, (uint16_t)(d + 1)};
		q.desc[d + 1] = (struct desc){(uint64_t)buffer, BYTES,
			D_WRITE | D_NEXT, (uint16_t)(d + 2)};
		q.desc[d + 2] =
			(struct desc){(uint64_t)&status[i], 1, D_WRITE, 0};
		q.avail.ring[i] = d;
	}
	barrier();
	q.avail.idx = REQUESTS;
	barrier();
	write32(dev + R_NOTIFY, 0);
}

static void paint(volatile uint64_t *p, size_t n)
{
	while (n--)
		*p++ = 0xa5a5a5a5a5a5a5a5ull;
}

static bool painted(const volatile uint64_t *p, size_t n)
{
	while (n--)
		if (*p++ != 0xa5a5a5a5a5a5a5a5ull)
			return false;
	return true;
}

/* The buffer is looked at in places: every byte would take an interpreter. */
static bool untouched(void)
{
	for (unsigned at = 0; at < BYTES; at += 2048)
		if (!painted((uint64_t *)(void *)(buffer + at), 2))
			return false;
	return painted((uint64_t *)(void *)&q.used, 8);
}

static bool quiet_after_reset(uint64_t dev, unsigned delay)
{
	start(dev, &q, 1);
	offer_all(dev);
	for (unsigned i = 0; i < delay; i++)
		(void)inb(POWER);
	reset(dev);
	for (unsigned at = 0; at < BYTES; at += 2048)
		paint((uint64_t *)(void *)(buffer + at), 2);
	paint((uint64_t *)(void *)&q.used, 8);
	for (unsigned i = 0; i < 50; i++)
		(void)inb(POWER);
	return untouched();
}

void guest_main(void)
{
	uint64_t dev = find_device(2);
	bool quiet = true;

	check(dev != 0, "there is a disk");
	if (!dev)
		return;
	start(dev, &q, 1);
	offer_all(dev);
	check(await_used(&q, REQUESTS) && status[REQUESTS - 1] == 0,
		"its requests are served");
	for (unsigned round = 0; round < ROUNDS; round++)
		quiet = quiet_after_reset(dev, 2 * round) && quiet;
	check(quiet, "reset with requests in flight: silence after it");
	start(dev, &q, 1);
	offer_all(dev);
	check(await_used(&q, REQUESTS), "and it works again");
}
