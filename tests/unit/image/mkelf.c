/* SPDX-License-Identifier: Apache-2.0 */
#include "image/mkelf.h"

#include "wire/wire.h"

#include <elf.h>
#include <string.h>

struct blob elf_kernel(const char *text)
{
	size_t head = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	size_t n = strlen(text) + 1;
	struct blob b = {xcalloc(1, head + n), head + n};
	Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	Elf64_Phdr ph = {
		.p_type = PT_LOAD,
		.p_offset = head,
		.p_paddr = 0x1000000,
		.p_filesz = n,
		.p_memsz = n + 4096,
	};

	memcpy(b.p, &eh, sizeof(eh));
	memcpy(b.p + sizeof(eh), &ph, sizeof(ph));
	memcpy(b.p + head, text, n);
	return b;
}

struct blob elf_bzimage(const void *payload, size_t len, unsigned int version)
{
	size_t head = 1024 + 16;
	struct blob b = {xcalloc(1, head + len), head + len};

	b.p[0x1f1] = 1;
	memcpy(b.p + 0x202, "HdrS", 4);
	put_le16(b.p + 0x206, (uint16_t)version);
	put_le32(b.p + 0x248, 16);
	put_le32(b.p + 0x24c, (uint32_t)len);
	memcpy(b.p + head, payload, len);
	return b;
}

struct blob elf_module(const void *info, size_t len)
{
	static const char names[] = "\0.modinfo\0.shstrtab\0.BTF";
	static const char btf[] = "types";
	size_t at_names = sizeof(Elf64_Ehdr) + len;
	size_t at_btf = at_names + sizeof(names);
	size_t at_heads = at_btf + sizeof(btf);
	size_t total = at_heads + 4 * sizeof(Elf64_Shdr);
	struct blob b = {xcalloc(1, total), total};
	Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_REL,
		.e_machine = EM_X86_64,
		.e_shoff = at_heads,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
		.e_shstrndx = 2,
	};
	Elf64_Shdr heads[4] = {
		{0},
		{.sh_name = 1,
			.sh_type = SHT_PROGBITS,
			.sh_offset = sizeof(eh),
			.sh_size = len},
		{.sh_name = 10,
			.sh_type = SHT_STRTAB,
			.sh_offset = at_names,
			.sh_size = sizeof(names)},
		{.sh_name = 20,
			.sh_type = SHT_PROGBITS,
			.sh_flags = SHF_ALLOC,
			.sh_offset = at_btf,
			.sh_size = sizeof(btf)},
	};

	memcpy(b.p, &eh, sizeof(eh));
	memcpy(b.p + sizeof(eh), info, len);
	memcpy(b.p + at_names, names, sizeof(names));
	memcpy(b.p + at_btf, btf, sizeof(btf));
	memcpy(b.p + at_heads, heads, sizeof(heads));
	return b;
}
