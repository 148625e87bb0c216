/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's tables get segments of their own, and nothing else changes. */
#include "cm.h"
#include "mkelf.h"

#include "image/kernel_elf.h"

#include <string.h>

#define PG 4096u
#define DATA (2 * PG)         /* of the segment in the file */
#define BEFORE (3 * PG + 100) /* what the segment has in front of the table */
#define TABLE (600 * KIB)     /* the table */
#define AFTER (5 * PG)
#define FILESZ (BEFORE + TABLE + AFTER)
#define BSS (7 * PG)
#define PADDR 0x1000000u

static const char names[] = "\0.shstrtab\0.BTF\0.orc_unwind";
enum { NAME_STR = 1, NAME_BTF = 11, NAME_ORC = 16 };

struct kernel {
	uint8_t *p;
	size_t len;
};

static Elf64_Phdr segment(void)
{
	return (Elf64_Phdr){.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = DATA,
		.p_vaddr = 0xffffffff81000000,
		.p_paddr = PADDR,
		.p_filesz = FILESZ,
		.p_memsz = FILESZ + BSS,
		.p_align = 2 * MIB};
}

/* Headers, one segment with a table in it, section names and headers. */
static struct kernel make(const Elf64_Phdr *ph, uint32_t name, uint64_t size)
{
	uint64_t at_names = DATA + FILESZ, at_heads = at_names + sizeof(names);
	Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(*ph),
		.e_phnum = 1,
		.e_shoff = at_heads,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 2,
		.e_shstrndx = 0,
	};
	const Elf64_Shdr sh[2] = {
		{.sh_name = NAME_STR,
			.sh_type = SHT_STRTAB,
			.sh_offset = at_names,
			.sh_size = sizeof(names)},
		{.sh_name = name,
			.sh_type = SHT_PROGBITS,
			.sh_offset = DATA + BEFORE,
			.sh_size = size},
	};
	struct kernel k = {.len = at_heads + sizeof(sh)};

	k.p = xcalloc(1, k.len);
	memcpy(k.p, &eh, sizeof(eh));
	memcpy(k.p + sizeof(eh), ph, sizeof(*ph));
	for (size_t i = 0; i < FILESZ; i++)
		k.p[DATA + i] = (uint8_t)(i * 7 + i / 251);
	memcpy(k.p + at_names, names, sizeof(names));
	memcpy(k.p + at_heads, sh, sizeof(sh));
	return k;
}

static uint8_t *copy(const struct kernel *k)
{
	uint8_t *p = xcalloc(1, k->len);

	memcpy(p, k->p, k->len);
	return p;
}

static Elf64_Phdr header(const struct kernel *k, unsigned i)
{
	Elf64_Phdr ph;

	memcpy(&ph, k->p + sizeof(Elf64_Ehdr) + i * sizeof(ph), sizeof(ph));
	return ph;
}

static unsigned headers(const struct kernel *k)
{
	Elf64_Ehdr eh;

	memcpy(&eh, k->p, sizeof(eh));
	return eh.e_phnum;
}

static void splits(uint32_t name)
{
	const Elf64_Phdr whole = segment();
	struct kernel k = make(&whole, name, TABLE);
	_cleanup_free_ uint8_t *before = copy(&k);
	Elf64_Phdr a, b, c;

	elf_split_tables(k.p, k.len);
	assert_int_equal(headers(&k), 3);
	a = header(&k, 0);
	b = header(&k, 1);
	c = header(&k, 2);
	/* Three that follow each other, and together are what was one. */
	assert_int_equal(a.p_offset, whole.p_offset);
	assert_int_equal(a.p_paddr, whole.p_paddr);
	assert_int_equal(b.p_offset, a.p_offset + a.p_filesz);
	assert_int_equal(b.p_paddr, a.p_paddr + a.p_memsz);
	assert_int_equal(b.p_vaddr, a.p_vaddr + a.p_memsz);
	assert_int_equal(c.p_offset, b.p_offset + b.p_filesz);
	assert_int_equal(c.p_paddr, b.p_paddr + b.p_memsz);
	assert_int_equal(c.p_vaddr, b.p_vaddr + b.p_memsz);
	assert_int_equal(c.p_offset + c.p_filesz, DATA + FILESZ);
	assert_int_equal(c.p_paddr + c.p_memsz, PADDR + FILESZ + BSS);
	assert_int_equal(a.p_filesz, a.p_memsz);
	assert_int_equal(b.p_filesz, b.p_memsz);
	/* The middle is the whole pages of the table. */
	assert_int_equal(b.p_offset % PG, 0);
	assert_int_equal(b.p_offset, DATA + 4 * PG);
	assert_int_equal(b.p_filesz, (BEFORE + TABLE) / PG * PG - 4 * PG);
	assert_int_equal(a.p_flags, PF_R | PF_X);
	assert_int_equal(b.p_flags, PF_R);
	assert_int_equal(c.p_flags, PF_R | PF_X);
	assert_memory_equal(k.p + DATA, before + DATA, k.len - DATA);
	assert_int_equal(vmlinux_check(k.p, k.len, NULL), 0);
	/* Once more there is nothing to do. */
	elf_split_tables(k.p, k.len);
	assert_int_equal(headers(&k), 3);
	free(k.p);
}

static void test_tables(void **state)
{
	splits(NAME_BTF);
	splits(NAME_ORC);
}

static void stays(struct kernel k)
{
	_cleanup_free_ uint8_t *before = copy(&k);

	elf_split_tables(k.p, k.len);
	assert_memory_equal(k.p, before, k.len);
	free(k.p);
}

static void test_left_alone(void **state)
{
	Elf64_Phdr ph = segment();
	struct kernel k;

	stays(make(&ph, NAME_STR, TABLE));          /* no such section */
	stays(make(&ph, NAME_BTF, 100 * KIB));      /* not worth it */
	stays(make(&ph, NAME_BTF, FILESZ));         /* beyond the segment */
	stays(make(&ph, NAME_BTF, UINT64_MAX / 2)); /* and the file */
	ph.p_paddr += 16; /* pages of the file are none of memory */
	stays(make(&ph, NAME_BTF, TABLE));
	ph = segment();
	k = make(&ph, NAME_BTF, TABLE);
	k.p[sizeof(Elf64_Ehdr) + 2 * sizeof(ph)] = 1; /* no room for headers */
	stays(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
