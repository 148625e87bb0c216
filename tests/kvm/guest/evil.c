/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evil guest: random operations at every register, port and ring, for as
 * long as it is let. Rings and buffers mostly make enough sense to get past
 * the first checks. It never ends the machine by itself, so whatever ends is
 * the monitor's fault. Prints a dot now and then.
 */
#include "guest.h"

#define DEVICES 8
#define SPACE (32ull << 20) /* where rings and buffers lie */
#define SPACE_LEN (16ull << 20)

static const uint16_t offsets[] = {R_FEATURES_SEL, R_ACKED, R_ACKED_SEL,
	R_QUEUE_SEL, R_QUEUE_NUM, R_QUEUE_READY, R_NOTIFY, R_ACK, R_STATUS,
	R_DESC, R_DESC + 4, R_AVAIL, R_AVAIL + 4, R_USED, R_USED + 4, R_CONFIG,
	R_CONFIG + 4, 0xac};

static uint64_t device(void)
{
	return VIRTIO + (uint64_t)(rnd() % DEVICES) * 4096;
}

static uint32_t value(void)
{
	switch (rnd() % 6) {
	case 0:
		return rnd() % 16;
	case 1:
		return 1u << rnd() % 32;
	case 2:
		return (uint32_t)(SPACE + rnd() % SPACE_LEN);
	case 3:
		return (uint32_t)(SPACE + (rnd() % 4096) * 4096);
	case 4:
		return ~(rnd() % 16);
	default:
		return rnd();
	}
}

static void poke_register(void)
{
	uint64_t dev = device();

	write32(dev + offsets[rnd() % (sizeof(offsets) / 2)], value());
}

static void poke_odd(void)
{
	uint64_t at = device() + rnd() % 4096;

	switch (rnd() % 3) {
	case 0:
		*(volatile uint8_t *)at = (uint8_t)rnd();
		break;
	case 1:
		*(volatile uint16_t *)(at & ~1ull) = (uint16_t)rnd();
		break;
	default:
		*(volatile uint64_t *)(at & ~7ull) = rnd();
		break;
	}
}

static void peek(void)
{
	(void)read32(device() + (rnd() % 1024) * 4);
}

/* Every port but the one that ends the machine. */
static void ports(void)
{
	uint16_t port =
		rnd() % 4 ? (uint16_t)(UART + rnd() % 8) : (uint16_t)rnd();

	if (port >= POWER && port < POWER + 4)
		return;
	if (port == UART)
		return; /* leaves the log readable */
	if (rnd() % 2)
		outb(port, (uint8_t)rnd());
	else
		(void)inb(port);
	outb(UART + 3, 3);
	outb(UART + 4, 0);
}

static struct desc *random_ring(uint16_t *ret_size)
{
	*ret_size = (uint16_t)(1u << rnd() % 10);
	return (struct desc *)(SPACE + (rnd() % 1024) * 4096);
}

static void fill_descriptors(struct desc *d, uint16_t size)
{
	for (unsigned i = 0; i < 8; i++) {
		d[rnd() % size] = (struct desc){
			.addr = rnd() % 8 ? SPACE + rnd() % SPACE_LEN : value(),
			.len = rnd() % 8 ? rnd() % 8192 : value(),
			.flags = (uint16_t)(rnd() % 8),
			.next = (uint16_t)(rnd() % 8 ? rnd() % size : rnd()),
		};
	}
}

static void put64(uint64_t reg, uint64_t v)
{
	write32(reg, (uint32_t)v);
	write32(reg + 4, (uint32_t)(v >> 32));
}

/* A queue set up by the book on rings that are not. */
static void real_queue(uint64_t dev, unsigned index)
{
	uint16_t size;
	struct desc *d = random_ring(&size);
	volatile uint16_t *avail = (uint16_t *)(void *)(d + size);

	fill_descriptors(d, size);
	for (unsigned i = 0; i < 4; i++)
		avail[2 + i] = (uint16_t)(rnd() % (size + 1u));
	avail[1] = (uint16_t)(rnd() % 4 ? rnd() % 5 : rnd());
	write32(dev + R_QUEUE_SEL, index);
	write32(dev + R_QUEUE_NUM, size);
	put64(dev + R_DESC, (uint64_t)d);
	put64(dev + R_AVAIL, (uint64_t)avail);
	put64(dev + R_USED, (uint64_t)(d + size) + 8192);
	write32(dev + R_QUEUE_READY, 1);
}

static void real_start(void)
{
	uint64_t dev = device();
	unsigned n = rnd() % 4;

	negotiate(dev);
	for (unsigned i = 0; i <= n; i++)
		real_queue(dev, i);
	write32(dev + R_STATUS, 15);
	for (unsigned i = 0; i <= n; i++)
		write32(dev + R_NOTIFY, i);
	if (rnd() % 2)
		reset(dev); /* with requests in flight */
}

static void scribble(void)
{
	for (unsigned i = 0; i < 16; i++)
		*(volatile uint32_t *)((SPACE + rnd() % SPACE_LEN) & ~3ull) =
			value();
}

void guest_main(void)
{
	for (uint32_t round = 0;; round++) {
		switch (rnd() % 8) {
		case 0:
			poke_odd();
			break;
		case 1:
			peek();
			break;
		case 2:
			ports();
			break;
		case 3:
			scribble();
			break;
		case 4:
		case 5:
			real_start();
			break;
		default:
			poke_register();
			break;
		}
		if (round % 256 == 0) {
			outb(UART, '.');
			outb(UART, '\n');
		}
	}
}
