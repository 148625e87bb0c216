/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: what the file holds and where it has holes, and no byte more. */
#include "cm.h"

#include "base/fd.h"
#include "vmm/layout.h"
#include "vmm/vmlinux.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#define AT (2 * PAGE)          /* of the segment in the file */
#define LEN (4 * PAGE + 100)   /* of it */
#define MEM (6 * PAGE)         /* in memory */
#define WHERE (GPA_MIB + PAGE) /* there */

struct file {
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
};

static struct file header(void)
{
	struct file f = {
		.eh = {.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_entry = 0xffffffff80000010,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1},
		.ph = {.p_type = PT_LOAD,
			.p_offset = AT,
			.p_vaddr = 0xffffffff80000000,
			.p_paddr = WHERE,
			.p_filesz = LEN,
			.p_memsz = MEM},
	};

	memcpy(f.eh.e_ident, ELFMAG, SELFMAG);
	f.eh.e_ident[EI_CLASS] = ELFCLASS64;
	f.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	return f;
}

static void put(int fd, int byte, size_t len, off_t at)
{
	_cleanup_free_ uint8_t *p = xcalloc(1, len);

	memset(p, byte, len);
	assert_int_equal(pwrite(fd, p, len, at), len);
}

/* Pages 0, 2 and 4 of the segment hold something; more follows in the file. */
static int make(const struct file *f)
{
	int fd = memfd_create("vmlinux", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, f, sizeof(*f), 0), sizeof(*f));
	put(fd, 1, PAGE, AT);
	put(fd, 2, PAGE, AT + 2 * PAGE);
	put(fd, 3, PAGE, AT + 4 * PAGE);
	return fd;
}

static bool all(const uint8_t *p, int byte, size_t len)
{
	return p[0] == byte && memcmp(p, p + 1, len - 1) == 0;
}

static void test_holes(void **state)
{
	const struct file f = header();
	struct vmlinux k;
	struct ram ram;
	struct err err = {0};
	int fd = make(&f);
	const uint8_t *p;

	assert_int_equal(ram_open(&ram, 4 * MIB, -1, &err), 0);
	assert_int_equal(vmlinux_load(fd, &ram, &k, &err), 0);
	p = gmem_ptr(ram.gm, WHERE, MEM);
	assert_non_null(p);
	assert_true(all(p, 1, PAGE));
	assert_true(all(p + PAGE, 0, PAGE));
	assert_true(all(p + 2 * PAGE, 2, PAGE));
	assert_true(all(p + 3 * PAGE, 0, PAGE));
	assert_true(all(p + 4 * PAGE, 3, LEN - 4 * PAGE));
	assert_true(all(p + LEN, 0, MEM - LEN));
	assert_int_equal(k.end, WHERE + MEM);
	assert_int_equal(k.entry, WHERE + 0x10);
	ram_done(&ram);
	(void)close(fd);
}

static void refused(const struct file *f, const char *why)
{
	struct vmlinux k;
	struct ram ram;
	struct err err = {0};
	int fd = make(f);

	assert_int_equal(ram_open(&ram, 4 * MIB, -1, &err), 0);
	assert_true(vmlinux_load(fd, &ram, &k, &err) < 0);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	ram_done(&ram);
	(void)close(fd);
}

static void test_refusals(void **state)
{
	struct file f = header();

	f.ph.p_filesz = f.ph.p_memsz = MEM + PAGE;
	refused(&f, "cut short");
	f = header();
	f.ph.p_offset = UINT64_MAX - 10;
	refused(&f, "cut short");
	f = header();
	f.ph.p_paddr = 4 * MIB - PAGE;
	refused(&f, "does not fit");
	f = header();
	f.ph.p_paddr = 0x1000;
	refused(&f, "does not fit");
	f = header();
	f.ph.p_filesz = f.ph.p_memsz + 1;
	refused(&f, "does not fit");
	f = header();
	f.ph.p_type = PT_NULL;
	refused(&f, "nothing to load");
	f = header();
	f.eh.e_machine = EM_386;
	refused(&f, "kind of processor");
	f = header();
	f.eh.e_phnum = 0;
	refused(&f, "program headers");
}

#define TABLE_AT (4 * MIB + 8 * PAGE) /* eight pages of a huge one before */
#define TABLE_LEN (2 * MIB + 9 * PAGE + 50)

/* What is only read is mapped, byte for byte, and a guest's write is its own. */
static void test_table(void **state)
{
	struct file f = header();
	_cleanup_free_ uint8_t *want = xcalloc(1, TABLE_LEN);
	struct vmlinux k;
	struct ram ram;
	struct err err = {0};
	int fd = make(&f);
	uint8_t *p, byte;

	f.ph.p_flags = PF_R;
	f.ph.p_paddr = TABLE_AT;
	f.ph.p_filesz = f.ph.p_memsz = TABLE_LEN;
	for (size_t i = 0; i < TABLE_LEN; i++)
		want[i] = (uint8_t)(i * 5 + i / 241);
	assert_int_equal(pwrite(fd, &f, sizeof(f), 0), sizeof(f));
	assert_int_equal(pwrite(fd, want, TABLE_LEN, AT), TABLE_LEN);
	assert_int_equal(ram_open(&ram, 8 * MIB, -1, &err), 0);
	assert_int_equal(vmlinux_load(fd, &ram, &k, &err), 0);
	p = gmem_ptr(ram.gm, TABLE_AT, TABLE_LEN);
	assert_non_null(p);
	assert_memory_equal(p, want, TABLE_LEN);
	assert_true(all(p + TABLE_LEN, 0, PAGE));
	assert_int_equal(k.end, TABLE_AT + TABLE_LEN);
	/* It is the file's page: a change of the file shows, one of ours does not. */
	byte = (uint8_t)~want[MIB];
	assert_int_equal(pwrite(fd, &byte, 1, AT + MIB), 1);
	assert_int_equal(p[MIB], byte);
	p[MIB + 1] = (uint8_t)~want[MIB + 1];
	assert_int_equal(pread(fd, &byte, 1, AT + MIB + 1), 1);
	assert_int_equal(byte, want[MIB + 1]);
	ram_done(&ram);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
