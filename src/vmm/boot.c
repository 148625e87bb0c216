/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/boot.h"

#include "wire/wire.h"

#include <asm/bootparam.h>
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define E820_RAM 1u
#define E820_RESERVED 2u
#define MAP_ENTRIES 4u

#define RNG_SEED_TYPE 9u /* SETUP_RNG_SEED, Linux 6.0 */
#define RNG_SEED_LEN 32u

#define PVH_MAGIC 0x336ec578u
#define PVH_MODULE 0x40u /* offsets in the page at GPA_START_INFO */
#define PVH_MAP 0x80u

struct range {
	uint64_t gpa;
	uint64_t size;
	uint32_t type;
};

/* Low memory always exists: ram_open() refuses less than 4 MiB. */
static uint8_t *low(const struct ram *ram, uint64_t gpa, uint64_t len)
{
	uint8_t *p = gmem_ptr(ram->gm, gpa, len);

	assert(p);
	return p;
}

static unsigned memory_map(const struct ram *ram, struct range m[MAP_ENTRIES])
{
	unsigned n = 0;

	m[n++] = (struct range){0, GPA_EBDA, E820_RAM};
	m[n++] = (struct range){GPA_EBDA, GPA_MIB - GPA_EBDA, E820_RESERVED};
	m[n++] = (struct range){GPA_MIB, ram_low_end(ram) - GPA_MIB, E820_RAM};
	if (ram->n > 1)
		m[n++] = (struct range){
			ram->part[1].gpa, ram->part[1].size, E820_RAM};
	return n;
}

/* At the top of low memory, away from the kernel. */
static int load_initrd(int fd, const struct ram *ram, struct boot_image *image,
	struct err *err)
{
	uint64_t kernel_end = image->kernel.end;
	uint64_t top = ram_low_end(ram), size, gpa;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "the initrd is not a regular file");
	size = (uint64_t)st.st_size;
	if (size == 0 || size > top - kernel_end || kernel_end > top)
		return err_set(err, EFBIG,
			"the initrd does not fit into "
			"%llu MiB of guest memory",
			(unsigned long long)(ram->size / MIB));
	gpa = (top - size) & ~(PAGE - 1);
	if (gpa < kernel_end)
		return err_set(err, EFBIG, "kernel and initrd do not fit");
	uint8_t *dst = gmem_ptr(ram->gm, gpa, size);
	assert(dst);
	for (uint64_t at = 0; at < size;) {
		ssize_t n = pread(fd, dst + at, size - at, (off_t)at);
		if (n <= 0)
			return err_sys(err, n < 0 ? errno : EPIPE,
				"cannot read the initrd");
		at += (uint64_t)n;
	}
	image->initrd = gpa;
	image->initrd_size = size;
	return 0;
}

/* Linux 6.0 and later mixes it into the pool before anything else runs. */
static void put_seed(const struct ram *ram)
{
	uint8_t *p = low(ram, GPA_SETUP_DATA, 16 + RNG_SEED_LEN);

	put_le64(p, 0);
	put_le32(p + 8, RNG_SEED_TYPE);
	put_le32(p + 12, RNG_SEED_LEN);
	if (getrandom(p + 16, RNG_SEED_LEN, 0) != RNG_SEED_LEN)
		put_le32(p + 8, 0); /* no seed: an entry of no known type */
}

static void put_zero_page(const struct ram *ram, const struct boot_image *image)
{
	struct boot_params *bp = (void *)low(ram, GPA_ZERO_PAGE, sizeof(*bp));
	struct range map[MAP_ENTRIES];

	memset(bp, 0, sizeof(*bp));
	bp->hdr.boot_flag = 0xaa55;
	bp->hdr.header = 0x53726448; /* "HdrS" */
	bp->hdr.version = 0x020f;
	bp->hdr.type_of_loader = 0xff;
	bp->hdr.loadflags = LOADED_HIGH;
	bp->hdr.kernel_alignment = (uint32_t)RAM_ALIGN;
	bp->hdr.cmd_line_ptr = GPA_CMDLINE;
	bp->hdr.cmdline_size = CMDLINE_MAX;
	bp->hdr.ramdisk_image = (uint32_t)image->initrd;
	bp->hdr.ramdisk_size = (uint32_t)image->initrd_size;
	bp->hdr.setup_data = GPA_SETUP_DATA;
	bp->acpi_rsdp_addr = GPA_ACPI;
	bp->e820_entries = (uint8_t)memory_map(ram, map);
	for (unsigned i = 0; i < bp->e820_entries; i++)
		bp->e820_table[i] = (struct boot_e820_entry){
			map[i].gpa, map[i].size, map[i].type};
}

static void put_start_info(
	const struct ram *ram, const struct boot_image *image)
{
	uint8_t *p = low(ram, GPA_START_INFO, PAGE);
	struct range map[MAP_ENTRIES];
	unsigned n = memory_map(ram, map);

	memset(p, 0, PAGE);
	put_le32(p, PVH_MAGIC);
	put_le32(p + 4, 1); /* version: with a memory map */
	put_le32(p + 12, image->initrd_size ? 1 : 0);
	put_le64(p + 16, GPA_START_INFO + PVH_MODULE);
	put_le64(p + 24, GPA_CMDLINE);
	put_le64(p + 32, GPA_ACPI);
	put_le64(p + 40, GPA_START_INFO + PVH_MAP);
	put_le32(p + 48, n);
	put_le64(p + PVH_MODULE, image->initrd);
	put_le64(p + PVH_MODULE + 8, image->initrd_size);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *e = p + PVH_MAP + 24u * i;
		put_le64(e, map[i].gpa);
		put_le64(e + 8, map[i].size);
		put_le32(e + 16, map[i].type);
	}
}

/* The first 4 GiB one to one, in 2 MiB pages. */
static void put_page_tables(const struct ram *ram)
{
	enum { PRESENT = 1, WRITE = 2, HUGE = 0x80 };
	uint8_t *pml4 = low(ram, GPA_PAGE_TABLES, 6 * PAGE);
	uint8_t *pdpt = pml4 + PAGE, *pd = pml4 + 2 * PAGE;

	memset(pml4, 0, 2 * PAGE);
	put_le64(pml4, (GPA_PAGE_TABLES + PAGE) | PRESENT | WRITE);
	for (uint64_t i = 0; i < 4; i++)
		put_le64(pdpt + 8 * i,
			(GPA_PAGE_TABLES + (2 + i) * PAGE) | PRESENT | WRITE);
	for (uint64_t i = 0; i < 2048; i++)
		put_le64(pd + 8 * i, i * 2 * MIB | PRESENT | WRITE | HUGE);
}

/* The selectors that the 64-bit protocol asks for: 0x10 and 0x18. */
static void put_gdt(const struct ram *ram)
{
	uint8_t *p = low(ram, GPA_GDT, 32);

	memset(p, 0, 16);
	put_le64(p + 16, 0x00af9b000000ffffull); /* 64-bit code */
	put_le64(p + 24, 0x00cf93000000ffffull); /* flat data */
}

static int put_cmdline(const struct ram *ram, const char *s, struct err *err)
{
	size_t len = strlen(s);

	if (len >= CMDLINE_MAX)
		return err_set(err, E2BIG,
			"the kernel command line is longer than %u bytes",
			CMDLINE_MAX - 1);
	memcpy(low(ram, GPA_CMDLINE, len + 1), s, len + 1);
	return 0;
}

int boot_read(int kernel, int initrd, const struct ram *ram,
	struct boot_image *ret, struct err *err)
{
	struct boot_image image = {0};
	int r = vmlinux_load(kernel, ram, &image.kernel, err);

	if (r == 0 && initrd >= 0)
		r = load_initrd(initrd, ram, &image, err);
	if (r == 0)
		*ret = image;
	return r;
}

int boot_load(const struct boot_config *cfg, const struct ram *ram,
	const struct boot_image *image, struct boot_entry *ret, struct err *err)
{
	const struct vmlinux *k = &image->kernel;
	int r = put_cmdline(ram, cfg->cmdline, err);

	if (r < 0)
		return r;
	if (cfg->protocol == BOOT_PVH && !k->pvh_entry)
		return err_set(err, ENOEXEC, "the kernel has no PVH entry");
	(void)acpi_build(&cfg->machine, low(ram, GPA_ACPI, ACPI_MAX));
	put_gdt(ram);
	put_page_tables(ram);
	put_seed(ram);
	put_zero_page(ram, image);
	put_start_info(ram, image);
	ret->protocol = cfg->protocol;
	ret->rip = cfg->protocol == BOOT_PVH ? k->pvh_entry : k->entry;
	return 0;
}
