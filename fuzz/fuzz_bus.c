/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole device bus of cove-vmm in this process: the input is a script of
 * what a guest does, register and port accesses of any size at any address,
 * and writes to its memory, with the real devices behind. No KVM: a doorbell
 * is a write to its register.
 */
#include "vmm/devices.h"
#include "vmm/pci.h"
#include "vmm/power.h"
#include "vmm/uart.h"
#include "wire/wire.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_SIZE (256u << 10)
#define DISK_SIZE (64u << 10)
#define STEPS 400

struct bed {
	struct loop loop;
	struct task stop;
	struct calls calls;
	struct gmem *gm;
	struct mmio_bank bank;
	struct devices devices;
	struct vmm_config cfg;
	struct bus pio;
	struct bus mmio;
	struct conlog console;
	struct uart uart;
	struct power power;
	struct pci pci;
	const uint8_t *p;
	size_t left;
};

static uint8_t *ram;

static void on_irq(void *arg)
{
}

static void on_power(void *arg, enum power_event event)
{
}

/* Between two guard pages, so that one byte too far is found. */
static void make_ram(void)
{
	uint8_t *p;

	if (ram)
		return;
	p = mmap(NULL, RAM_SIZE + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	assert(p != MAP_FAILED);
	ram = p + 4096;
	assert(mprotect(ram, RAM_SIZE, PROT_READ | PROT_WRITE) == 0);
}

static void set_up(struct bed *b)
{
	struct vmm_config *c = &b->cfg;
	int r = loop_init(&b->loop);

	make_ram();
	memset(ram, 0, RAM_SIZE);
	assert(r == 0);
	r = calls_init(&b->calls, &b->loop);
	assert(r == 0);
	b->gm = gmem_new();
	r = gmem_add(b->gm, 0, RAM_SIZE, ram);
	assert(r == 0);
	*c = (struct vmm_config){.n_disks = 2,
		.vsock_listen = -1,
		.run_dir = open("/proc/self/fd", O_PATH | O_CLOEXEC)};
	for (int i = 0; i < 2; i++) {
		c->disk[i].fd = memfd_create("disk", MFD_CLOEXEC);
		assert(ftruncate(c->disk[i].fd, DISK_SIZE) == 0);
	}
	c->disk[1].read_only = true;
	r = mmio_bank_init(&b->bank, &b->loop, &b->calls, NULL, b->gm, NULL);
	assert(r == 0);
	r = devices_attach(&b->devices, c, &b->bank, &b->mmio, NULL);
	assert(r == 0);
	conlog_init(&b->console, -1, 4096);
	uart_init(&b->uart, &b->console, on_irq, NULL);
	b->power = (struct power){on_power, NULL};
	bus_add(&b->pio, PORT_UART, UART_LEN, &uart_ops, &b->uart);
	bus_add(&b->pio, PORT_POWER, POWER_LEN, &power_ops, &b->power);
	bus_add(&b->pio, PORT_PCI, PCI_LEN, &pci_ops, &b->pci);
}

static void tear_down(struct bed *b)
{
	mmio_bank_done(&b->bank);
	devices_done(&b->devices);
	calls_close(&b->calls, &b->loop);
	gmem_unref(b->gm);
	for (int i = 0; i < 2; i++)
		(void)close(b->cfg.disk[i].fd);
	(void)close(b->cfg.run_dir);
	loop_done(&b->loop);
}

static void on_stop(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void pump(struct bed *b)
{
	for (int i = 0; i < 2; i++) {
		loop_defer(&b->loop, &b->stop, on_stop);
		(void)loop_run(&b->loop);
	}
}

static uint8_t byte(struct bed *b)
{
	if (!b->left)
		return 0;
	b->left--;
	return *b->p++;
}

static uint32_t word(struct bed *b)
{
	uint32_t v = byte(b);

	return v | (uint32_t)byte(b) << 8;
}

static uint32_t dword(struct bed *b)
{
	uint32_t v = word(b);

	return v | word(b) << 16;
}

static uint64_t device(struct bed *b)
{
	return GPA_VIRTIO + (byte(b) % (b->bank.n + 1)) * PAGE;
}

static void write_reg(struct bed *b, uint64_t dev, uint32_t off, uint32_t v)
{
	uint8_t data[4];

	put_le32(data, v);
	bus_write(&b->mmio, dev + off, data, sizeof(data));
}

/* By the book as far as FEATURES_OK, so that the interesting part begins. */
static void negotiate(struct bed *b, uint64_t dev, uint8_t how)
{
	write_reg(b, dev, VIRTIO_MMIO_STATUS, 0);
	write_reg(b, dev, VIRTIO_MMIO_STATUS, 1);
	write_reg(b, dev, VIRTIO_MMIO_STATUS, 3);
	for (uint32_t sel = 0; sel < 2; sel++) {
		uint8_t data[4];
		write_reg(b, dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, sel);
		bus_read(&b->mmio, dev + VIRTIO_MMIO_DEVICE_FEATURES, data, 4);
		write_reg(b, dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sel);
		if (sel == 0 && (how & 1))
			data[3] = 0; /* no event index, no indirect */
		write_reg(b, dev, VIRTIO_MMIO_DRIVER_FEATURES, get_le32(data));
	}
	write_reg(b, dev, VIRTIO_MMIO_STATUS, 11);
}

/* The ring of queue q lies at a place that the script finds again. */
static void set_queue(struct bed *b, uint64_t dev, uint32_t q, uint32_t size)
{
	uint32_t at = (q % 8) * 0x4000;

	write_reg(b, dev, VIRTIO_MMIO_QUEUE_SEL, q);
	write_reg(b, dev, VIRTIO_MMIO_QUEUE_NUM, size);
	write_reg(b, dev, VIRTIO_MMIO_QUEUE_DESC_LOW, at);
	write_reg(b, dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + 0x2000);
	write_reg(b, dev, VIRTIO_MMIO_QUEUE_USED_LOW, at + 0x3000);
	write_reg(b, dev, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void run_device(struct bed *b)
{
	uint64_t dev = device(b);
	uint8_t how = byte(b);

	negotiate(b, dev, how);
	for (uint32_t q = 0; q < 1u + how % 4; q++)
		set_queue(b, dev, q, 1u << (how >> 4 & 7));
	write_reg(b, dev, VIRTIO_MMIO_STATUS, 15);
}

/* A descriptor and its place in the avail ring. */
static void put_descriptor(struct bed *b)
{
	uint32_t ring = (byte(b) % 8u) * 0x4000, i = byte(b) % 64u;
	uint8_t *d = ram + ring + 16 * i, *avail = ram + ring + 0x2000;
	uint8_t how = byte(b);

	put_le64(d, how & 0x10 ? dword(b) : 0x20000u + word(b));
	put_le32(d + 8, how & 0x20 ? dword(b) : word(b) % 4096u);
	put_le16(d + 12, how & 7);
	put_le16(d + 14, (uint16_t)(byte(b) % 64u));
	if (how & 8) {
		uint16_t idx = get_le16(avail + 2);
		put_le16(avail + 4 + 2 * (idx % 64u), (uint16_t)i);
		put_le16(avail + 2, (uint16_t)(idx + 1));
	}
}

static void scribble(struct bed *b)
{
	uint32_t at = dword(b) % RAM_SIZE, n = byte(b) % 32u;

	for (uint32_t i = 0; i < n && at + i < RAM_SIZE; i++)
		ram[at + i] = byte(b);
}

static void access_memory(struct bed *b, bool write)
{
	uint64_t at = device(b) + word(b) % PAGE;
	unsigned len = 1u << byte(b) % 4;
	uint8_t data[8];

	put_le64(data, dword(b));
	if (write)
		bus_write(&b->mmio, at, data, len);
	else
		bus_read(&b->mmio, at, data, len);
}

static void access_port(struct bed *b)
{
	uint16_t port = (uint16_t)word(b);
	uint8_t how = byte(b), data[8];
	unsigned len = 1u << how % 3;

	if (how & 0x40)
		port = (uint16_t)(PORT_UART + port % 8);
	else if (how & 0x20)
		port = (uint16_t)(PORT_POWER + port % 8);
	put_le64(data, dword(b));
	if (how & 0x80)
		bus_write(&b->pio, port, data, len);
	else
		bus_read(&b->pio, port, data, len);
}

static void step(struct bed *b)
{
	switch (byte(b) % 10) {
	case 0:
		run_device(b);
		break;
	case 1:
	case 2:
		put_descriptor(b);
		break;
	case 3:
		scribble(b);
		break;
	case 4:
		access_memory(b, false);
		break;
	case 5:
		access_port(b);
		break;
	case 6:
		write_reg(b, device(b), VIRTIO_MMIO_QUEUE_NOTIFY, byte(b) % 8u);
		pump(b);
		break;
	case 7:
		write_reg(b, device(b), word(b) % 0x110u & ~3u, dword(b));
		break;
	case 8:
		set_queue(b, device(b), byte(b), word(b));
		break;
	default:
		access_memory(b, true);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct bed b;

	b = (struct bed){.p = data, .left = size};
	set_up(&b);
	for (int i = 0; i < STEPS && b.left > 0; i++)
		step(&b);
	pump(&b);
	tear_down(&b);
	return 0;
}
