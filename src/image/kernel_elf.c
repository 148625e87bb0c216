/* SPDX-License-Identifier: Apache-2.0 */
#include "image/kernel_elf.h"

#include "wire/wire.h"

#include <string.h>

#define PAGE 4096ull
#define WORTH_MIN (512 * KIB) /* smaller tables are copied as well */

static const char *const tables[] = {".BTF", ".orc_unwind"};

static bool section(const uint8_t *p, size_t len, const Elf64_Ehdr *eh,
	unsigned int k, Elf64_Shdr *ret)
{
	uint64_t at;

	if (k >= eh->e_shnum || eh->e_shentsize != sizeof(*ret) ||
		!add_ok(eh->e_shoff, (uint64_t)k * sizeof(*ret), &at) ||
		at > len || len - at < sizeof(*ret))
		return false;
	memcpy(ret, p + at, sizeof(*ret));
	return ret->sh_type == SHT_NOBITS ||
		(ret->sh_offset <= len && ret->sh_size <= len - ret->sh_offset);
}

bool elf_section(const uint8_t *p, size_t len, const char *want,
	Elf64_Shdr *ret, uint64_t *ret_at)
{
	size_t want_len = strlen(want) + 1;
	Elf64_Shdr names;
	Elf64_Ehdr eh;

	if (len < sizeof(eh))
		return false;
	memcpy(&eh, p, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
		eh.e_ident[EI_CLASS] != ELFCLASS64 ||
		!section(p, len, &eh, eh.e_shstrndx, &names) ||
		names.sh_type == SHT_NOBITS)
		return false;
	for (unsigned int k = 0; k < eh.e_shnum; k++) {
		if (!section(p, len, &eh, k, ret) ||
			ret->sh_type == SHT_NOBITS ||
			ret->sh_name > names.sh_size ||
			names.sh_size - ret->sh_name < want_len ||
			memcmp(p + names.sh_offset + ret->sh_name, want,
				want_len) != 0)
			continue;
		*ret_at = eh.e_shoff + (uint64_t)k * sizeof(*ret);
		return true;
	}
	return false;
}

/* The program headers, and where their room ends in the file. */
struct headers {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[ELF_LOADS_MAX];
	uint64_t room_end;
};

static bool read_headers(const uint8_t *p, size_t len, struct headers *h)
{
	memcpy(&h->eh, p, sizeof(h->eh));
	if (h->eh.e_phnum > ELF_LOADS_MAX)
		return false;
	memcpy(h->ph, p + h->eh.e_phoff, h->eh.e_phnum * sizeof(h->ph[0]));
	h->room_end = len;
	for (unsigned i = 0; i < h->eh.e_phnum; i++)
		if (h->ph[i].p_offset > h->eh.e_phoff)
			h->room_end = MIN(h->room_end, h->ph[i].p_offset);
	return true;
}

/* The first bytes stay in *ph, the others are the segment after it. */
static Elf64_Phdr cut(Elf64_Phdr *ph, uint64_t first)
{
	Elf64_Phdr rest = *ph;

	rest.p_offset += first;
	rest.p_vaddr += first;
	rest.p_paddr += first;
	rest.p_filesz -= first;
	rest.p_memsz -= first;
	rest.p_align = 1;
	ph->p_filesz = ph->p_memsz = first;
	return rest;
}

/* Whole pages, at the same place in a page as in the file. */
static void split(struct headers *h, unsigned i, const Elf64_Shdr *s)
{
	Elf64_Phdr ph = h->ph[i], table, rest;
	uint64_t from = s->sh_offset - ph.p_offset, to = from + s->sh_size;

	from += -(ph.p_paddr + from) % PAGE;
	to -= (ph.p_paddr + to) % PAGE;
	if (from == 0 || from >= to || h->eh.e_phnum + 2u > ELF_LOADS_MAX ||
		(ph.p_offset - ph.p_paddr) % PAGE)
		return;
	table = cut(&ph, from);
	rest = cut(&table, to - from);
	table.p_flags = PF_R;
	memmove(h->ph + i + 3, h->ph + i + 1,
		(h->eh.e_phnum - i - 1) * sizeof(ph));
	h->ph[i] = ph;
	h->ph[i + 1] = table;
	h->ph[i + 2] = rest;
	h->eh.e_phnum += 2;
}

static void split_table(struct headers *h, const Elf64_Shdr *s)
{
	for (unsigned i = 0; i < h->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &h->ph[i];

		if (ph->p_type != PT_LOAD || s->sh_offset < ph->p_offset ||
			s->sh_offset - ph->p_offset > ph->p_filesz ||
			s->sh_size >
				ph->p_filesz - (s->sh_offset - ph->p_offset))
			continue;
		split(h, i, s);
		return;
	}
}

/* Nothing lies where more program headers come to lie. */
static bool room(const uint8_t *p, const struct headers *h, unsigned before)
{
	uint64_t from = h->eh.e_phoff + before * sizeof(Elf64_Phdr);
	uint64_t to = h->eh.e_phoff + h->eh.e_phnum * sizeof(Elf64_Phdr);

	if (from < sizeof(h->eh) || to > h->room_end)
		return false;
	for (uint64_t at = from; at < to; at++)
		if (p[at])
			return false;
	return true;
}

void elf_split_tables(uint8_t *p, size_t len)
{
	struct headers h;
	Elf64_Shdr s;
	uint64_t at;
	unsigned before;

	if (!read_headers(p, len, &h))
		return;
	before = h.eh.e_phnum;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		if (elf_section(p, len, tables[i], &s, &at) &&
			s.sh_size >= WORTH_MIN)
			split_table(&h, &s);
	if (!room(p, &h, before))
		return;
	memcpy(p, &h.eh, sizeof(h.eh));
	memcpy(p + h.eh.e_phoff, h.ph, h.eh.e_phnum * sizeof(h.ph[0]));
}
