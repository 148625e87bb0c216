/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evil - the worst guest: /init of a bare virtual machine that drives the
 * registers and rings of our devices by hand, mostly wrong. No virtio driver
 * is loaded; /dev/mem gives the registers, pagemap the addresses of our pages.
 *
 * Kernel command line: evil.seconds=N evil.seed=N evil.ids=26,19 evil.wild=1 (rings
 * outside of memory as well, at which QEMU 7.2 aborts sooner or later). Prints one
 * line a second and "evil: done" at the end, then powers off.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* QEMU's microvm puts its virtio-mmio transports here. */
#define MMIO_BASE 0xfeb00000u
#define MMIO_STRIDE 0x200u
#define MMIO_COUNT 24u
#define PAGES 64u
#define PAGE 4096u
#define QUEUES 4u

/* virtio 1.2 section 4.2.2 */
enum {
	R_MAGIC = 0x00,
	R_VERSION = 0x04,
	R_DEVICE = 0x08,
	R_FEATURES = 0x10,
	R_FEATURES_SEL = 0x14,
	R_DRIVER = 0x20,
	R_DRIVER_SEL = 0x24,
	R_QSEL = 0x30,
	R_QMAX = 0x34,
	R_QNUM = 0x38,
	R_QREADY = 0x44,
	R_NOTIFY = 0x50,
	R_ACK = 0x64,
	R_STATUS = 0x70,
	R_DESC = 0x80,
	R_AVAIL = 0x90,
	R_USED = 0xa0,
	R_CONFIG = 0x100,
};

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

static volatile uint8_t *mmio;
static uint8_t *page[PAGES];
static uint64_t phys[PAGES];
static uint64_t ram_end;
static int wild; /* rings may lie outside of memory: QEMU itself may abort */
static uint64_t rng = 88172645463325252ull;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static uint32_t upto(uint32_t n)
{
	return (uint32_t)(rnd() % n);
}

static volatile uint32_t *reg(unsigned dev, unsigned off)
{
	return (volatile uint32_t *)(mmio + dev * MMIO_STRIDE + off);
}

static void die(const char *what)
{
	printf("evil: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void map_pages(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	for (unsigned i = 0; i < PAGES; i++) {
		page[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED,
			-1, 0);
		if (page[i] == MAP_FAILED)
			die("mmap");
		memset(page[i], 0, PAGE);
		if (pread(fd, &entry, 8,
			    (off_t)((uintptr_t)page[i] / PAGE * 8)) != 8)
			die("pagemap");
		phys[i] = (entry & ((1ull << 55) - 1)) * PAGE;
	}
	close(fd);
}

static void find_ram_end(void)
{
	FILE *f = fopen("/proc/iomem", "r");
	unsigned long long lo, hi;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx : System RAM", &lo, &hi) == 2 &&
			strstr(line, "System RAM"))
			ram_end = hi + 1;
	if (f)
		fclose(f);
}

/* Mostly our own pages, sometimes the edges of the world. */
static uint64_t any_address(void)
{
	switch (upto(12)) {
	case 0:
		return rnd();
	case 1:
		return ram_end - upto(2 * PAGE);
	case 2:
		return ~0ull - upto(PAGE);
	case 3:
		return MMIO_BASE + upto(0x3000);
	case 4:
		return upto(0x100000);
	default:
		return phys[upto(PAGES)] + (upto(4) ? 0 : upto(PAGE));
	}
}

static uint32_t any_length(void)
{
	switch (upto(8)) {
	case 0:
		return (uint32_t)rnd();
	case 1:
		return 0xffffffffu - upto(64);
	case 2:
		return 0;
	default:
		return upto(PAGE);
	}
}

/* A header that gets past the first check: FUSE or vsock, then noise. */
static void any_payload(uint8_t *p, uint32_t id)
{
	for (unsigned i = 0; i < PAGE; i += 8) {
		uint64_t v = upto(3) ? 0 : rnd();

		memcpy(p + i, &v, 8);
	}
	if (id == 26) {
		uint32_t len = upto(4) ? 40 + upto(200) : (uint32_t)rnd();
		uint32_t op = upto(4) ? 1 + upto(52) : (uint32_t)rnd();
		uint64_t node = upto(3) ? upto(8) : rnd();

		memcpy(p, &len, 4);
		memcpy(p + 4, &op, 4);
		memcpy(p + 16, &node, 8);
		if (op == 26) { /* INIT wants its version */
			uint32_t v[4] = {7, 36, 1 << 17, (uint32_t)rnd()};

			memcpy(p + 40, v, sizeof(v));
		}
		if (upto(2))
			memcpy(p + 40 + upto(64), upto(2) ? "0\0\0\0" : "../x",
				5);
	} else {
		uint64_t cid[2] = {3, 2};
		uint32_t port[2] = {upto(4) ? 1024 + upto(4) : (uint32_t)rnd(),
			upto(4) ? 1024 + upto(4) : (uint32_t)rnd()};
		uint32_t len = upto(4) ? upto(PAGE) : (uint32_t)rnd();
		uint16_t type_op[2] = {1, (uint16_t)upto(10)};

		memcpy(p, cid, 16);
		memcpy(p + 16, port, 8);
		memcpy(p + 24, &len, 4);
		memcpy(p + 28, type_op, 4);
	}
}

static void fill_ring(unsigned q, unsigned size, uint32_t id)
{
	struct desc *d = (struct desc *)(void *)page[q * 3];
	volatile uint16_t *avail = (volatile uint16_t *)(void *)page[q * 3 + 1];
	unsigned n = size > PAGE / sizeof(*d) ? PAGE / sizeof(*d) : size;

	for (unsigned i = 12; i < PAGES; i++)
		if (!upto(4))
			any_payload(page[i], id);
	for (unsigned i = 0; i < n; i++) {
		d[i].addr = any_address();
		d[i].len = any_length();
		d[i].flags = (uint16_t)(upto(8) ? upto(4) : upto(8));
		d[i].next = (uint16_t)(upto(6) ? (i + 1) % n : rnd());
	}
	for (unsigned i = 0; i < n && i < 1000; i++)
		avail[2 + i] = (uint16_t)(upto(10) ? upto(n) : rnd());
	avail[0] = (uint16_t)upto(2);
	avail[1] = (uint16_t)(avail[1] + (upto(6) ? 1 + upto(4) : rnd()));
}

static void set64(unsigned dev, unsigned off, uint64_t v)
{
	*reg(dev, off) = (uint32_t)v;
	*reg(dev, off + 4) = (uint32_t)(v >> 32);
}

/* Where a ring lies: mostly where it should, sometimes somewhere else. */
static uint64_t ring_address(unsigned p)
{
	if (upto(12))
		return phys[p];
	return wild ? any_address() : phys[upto(PAGES)] + upto(PAGE);
}

static void set_queue(unsigned dev, unsigned q, unsigned *size)
{
	uint32_t max;

	*reg(dev, R_QSEL) = upto(20) ? q : (uint32_t)rnd();
	max = *reg(dev, R_QMAX);
	*size = max && upto(8) ? 1u << upto(8) : upto(70000);
	*reg(dev, R_QNUM) = *size;
	set64(dev, R_DESC, ring_address(q * 3));
	set64(dev, R_AVAIL, ring_address(q * 3 + 1));
	set64(dev, R_USED, ring_address(q * 3 + 2));
	*reg(dev, R_QREADY) = 1;
}

static void start_device(unsigned dev, unsigned sizes[QUEUES])
{
	*reg(dev, R_STATUS) = 0;
	for (unsigned q = 0; q < QUEUES; q++) {
		memset(page[q * 3 + 1], 0, PAGE);
		memset(page[q * 3 + 2], 0, PAGE);
	}
	*reg(dev, R_STATUS) = 1;
	*reg(dev, R_STATUS) = 3;
	*reg(dev, R_DRIVER_SEL) = 0;
	*reg(dev, R_FEATURES_SEL) = 0;
	*reg(dev, R_DRIVER) = upto(4) ? *reg(dev, R_FEATURES) : (uint32_t)rnd();
	*reg(dev, R_DRIVER_SEL) = 1;
	*reg(dev, R_DRIVER) = upto(16) ? 1 : (uint32_t)rnd(); /* VERSION_1 */
	*reg(dev, R_STATUS) = 11;
	for (unsigned q = 0; q < QUEUES; q++)
		set_queue(dev, q, &sizes[q]);
	*reg(dev, R_STATUS) = 15;
}

static void torment(unsigned dev, uint32_t id)
{
	unsigned sizes[QUEUES];

	start_device(dev, sizes);
	for (unsigned round = upto(60); round > 0; round--) {
		unsigned q = upto(QUEUES);

		fill_ring(q, sizes[q] ? sizes[q] : 1, id);
		*reg(dev, R_NOTIFY) = upto(30) ? q : (uint32_t)rnd();
		*reg(dev, R_ACK) = 3;
		switch (upto(60)) {
		case 0:
			*reg(dev, R_STATUS) = upto(2) ? 0 : (uint32_t)rnd();
			break;
		case 1:
			set_queue(dev, q, &sizes[q]); /* while it is running */
			break;
		case 2:
			*reg(dev, upto(0x40) * 4) = (uint32_t)rnd();
			break;
		case 3:
			(void)*reg(dev, R_CONFIG + upto(0x40) * 4);
			break;
		default:
			break;
		}
	}
}

static unsigned long option(
	const char *text, const char *name, unsigned long fallback)
{
	const char *p = strstr(text, name);

	return p ? strtoul(p + strlen(name), NULL, 10) : fallback;
}

static int is_target(const char *cmdline, uint32_t id)
{
	const char *p = strstr(cmdline, "evil.ids=");
	char *end;

	for (p = p ? p + 9 : ""; *p >= '0' && *p <= '9';
		p = end + (*end == ','))
		if (strtoul(p, &end, 10) == id)
			return 1;
	return 0;
}

static void boot(char *cmdline, size_t len)
{
	int fd;
	ssize_t n;

	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	fd = open("/proc/cmdline", O_RDONLY);
	n = read(fd, cmdline, len - 1);
	cmdline[n > 0 ? n : 0] = '\0';
	fd = open("/dev/mem", O_RDWR | O_SYNC);
	mmio = mmap(NULL, MMIO_COUNT * MMIO_STRIDE, PROT_READ | PROT_WRITE,
		MAP_SHARED, fd, MMIO_BASE);
	if (mmio == MAP_FAILED)
		die("/dev/mem");
	map_pages();
	find_ram_end();
}

int main(void)
{
	char cmdline[4096];
	unsigned targets[MMIO_COUNT], n = 0;
	unsigned long rounds = 0, seconds;
	time_t end, said = 0;

	boot(cmdline, sizeof(cmdline));
	seconds = option(cmdline, "evil.seconds=", 20);
	wild = option(cmdline, "evil.wild=", 0) != 0;
	rng += option(cmdline, "evil.seed=", 1) * 0x9e3779b97f4a7c15ull;
	for (unsigned i = 0; i < MMIO_COUNT; i++)
		if (*reg(i, R_MAGIC) == 0x74726976 && *reg(i, R_VERSION) == 2 &&
			is_target(cmdline, *reg(i, R_DEVICE)))
			targets[n++] = i;
	printf("evil: %u devices\n", n);
	for (end = time(NULL) + (time_t)seconds; n && time(NULL) < end;
		rounds++) {
		unsigned t = targets[upto(n)];

		torment(t, *reg(t, R_DEVICE));
		if (time(NULL) != said) {
			said = time(NULL);
			printf("evil: round %lu\n", rounds);
			fflush(stdout);
		}
	}
	printf("evil: done after %lu rounds\n", rounds);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
