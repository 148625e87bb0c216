/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vmlinux.h"

#include "vmm/layout.h"
#include "wire/wire.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PHDRS_MAX 32u
#define NOTES_MAX (64u * 1024u)
#define NOTE_PVH 18u /* XEN_ELFNOTE_PHYS32_ENTRY */

struct elf_file {
	int fd;
	uint64_t size;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[PHDRS_MAX];
};

static int read_at(int fd, void *p, size_t len, uint64_t off)
{
	uint8_t *to = p;

	while (len > 0) {
		ssize_t n = pread(fd, to, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int check_header(const Elf64_Ehdr *eh, struct err *err)
{
	if (memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0)
		return err_set(err, ENOEXEC,
			"the kernel is no ELF file; give "
			"an uncompressed vmlinux (see cove-image kernel)");
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 ||
		eh->e_ident[EI_DATA] != ELFDATA2LSB ||
		eh->e_machine != EM_X86_64 || eh->e_type == ET_REL)
		return err_set(err, ENOEXEC,
			"the kernel is not built for this kind of processor");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 ||
		eh->e_phnum > PHDRS_MAX)
		return err_set(err, ENOEXEC,
			"the kernel has no usable program headers");
	return 0;
}

static int open_elf(struct elf_file *f, struct err *err)
{
	struct stat st;
	int r;

	if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "the kernel is not a regular file");
	f->size = (uint64_t)st.st_size;
	r = read_at(f->fd, &f->eh, sizeof(f->eh), 0);
	if (r < 0)
		return err_sys(err, -r, "cannot read the kernel");
	r = check_header(&f->eh, err);
	if (r < 0)
		return r;
	r = read_at(
		f->fd, f->ph, f->eh.e_phnum * sizeof(f->ph[0]), f->eh.e_phoff);
	return r < 0 ? err_sys(err, -r, "cannot read the kernel's headers") : 0;
}

/*
 * Straight into guest memory: with huge pages, looking for zeros costs more
 * than copying them. Where the file has holes there is nothing to read. The
 * caller checked that dst has len bytes.
 */
static int load_range(int fd, uint8_t *dst, uint64_t off, uint64_t len)
{
	uint64_t at = 0;

	while (at < len) {
		off_t data = lseek(fd, (off_t)(off + at), SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t from, to;
		int r;

		if (hole < 0)
			return errno == ENXIO ? 0 : -errno;
		from = MAX(at, (uint64_t)data - off);
		to = MIN(len, (uint64_t)hole - off);
		if (from >= to)
			break;
		r = read_at(fd, dst + from, to - from, off + from);
		if (r < 0)
			return r;
		at = to;
	}
	return 0;
}

static bool is_table(const Elf64_Phdr *ph)
{
	return ph->p_type == PT_LOAD && ph->p_flags == PF_R;
}

/*
 * The pages of a segment that are mapped from the file. A huge page of which
 * more than half would be something else is better filled than cut.
 */
static uint64_t mapped_range(const Elf64_Phdr *ph, uint64_t *ret_from)
{
	uint64_t from = (ph->p_paddr + PAGE - 1) & ~(PAGE - 1);
	uint64_t to = (ph->p_paddr + ph->p_filesz) & ~(PAGE - 1);

	if (from % RAM_ALIGN > RAM_ALIGN / 2)
		from += RAM_ALIGN - from % RAM_ALIGN;
	if (to % RAM_ALIGN < RAM_ALIGN / 2)
		to -= to % RAM_ALIGN;
	*ret_from = from;
	return from < to ? to - from : 0;
}

/*
 * What is only read, cove-image made a segment of: tables for tracing that a
 * guest may never look at. Neither memory nor time is spent before it does.
 */
static int load_tables(const struct elf_file *f, const Elf64_Phdr *ph,
	const struct ram *ram, uint8_t *dst)
{
	uint64_t from, len = mapped_range(ph, &from);
	uint64_t before = from - ph->p_paddr;
	int r;

	if (len == 0 || (ph->p_offset - ph->p_paddr) % PAGE)
		return load_range(f->fd, dst, ph->p_offset, ph->p_filesz);
	r = load_range(f->fd, dst, ph->p_offset, before);
	if (r == 0)
		r = ram_map(
			ram, from, len, f->fd, (off_t)(ph->p_offset + before));
	if (r == 0)
		r = load_range(f->fd, dst + before + len,
			ph->p_offset + before + len,
			ph->p_filesz - before - len);
	return r;
}

static int load_segment(const struct elf_file *f, const Elf64_Phdr *ph,
	const struct ram *ram, uint64_t *end, struct err *err)
{
	uint64_t file_end;
	uint8_t *dst;
	int r;

	if (ph->p_memsz == 0)
		return 0;
	dst = gmem_ptr(ram->gm, ph->p_paddr, ph->p_memsz);
	if (!dst || ph->p_paddr < GPA_MIB || ph->p_filesz > ph->p_memsz)
		return err_set(err, ENOEXEC,
			"the kernel does not fit into "
			"%llu MiB of guest memory",
			(unsigned long long)(ram->size / MIB));
	if (!add_ok(ph->p_offset, ph->p_filesz, &file_end) ||
		file_end > f->size)
		return err_set(err, ENOEXEC, "the kernel is cut short");
	r = is_table(ph) ? load_tables(f, ph, ram, dst)
			 : load_range(f->fd, dst, ph->p_offset, ph->p_filesz);
	if (r < 0)
		return err_sys(err, -r, "cannot read the kernel");
	*end = MAX(*end, ph->p_paddr + ph->p_memsz);
	return 0;
}

static uint64_t align4(uint64_t v)
{
	return (v + 3) & ~3ull;
}

/* Looks through one note segment: name size, descriptor size, type, both. */
static void find_pvh(const uint8_t *p, size_t len, uint64_t *ret)
{
	size_t at = 0;

	while (len - at >= 12) {
		uint64_t namesz = get_le32(p + at);
		uint64_t descsz = get_le32(p + at + 4);
		uint32_t type = get_le32(p + at + 8);
		uint64_t desc = 12 + align4(namesz);
		uint64_t next = desc + align4(descsz);
		if (next > len - at)
			return;
		bool xen = namesz == 4 && memcmp(p + at + 12, "Xen", 4) == 0;
		if (xen && type == NOTE_PVH && descsz >= 4)
			*ret = get_le32(p + at + desc);
		at += next;
	}
}

static void read_notes(
	const struct elf_file *f, const Elf64_Phdr *ph, uint64_t *ret_pvh)
{
	_cleanup_free_ uint8_t *p = NULL;

	if (ph->p_filesz > NOTES_MAX)
		return;
	p = xcalloc(1, ph->p_filesz + 1);
	if (read_at(f->fd, p, ph->p_filesz, ph->p_offset) == 0)
		find_pvh(p, ph->p_filesz, ret_pvh);
}

/* The entry point may be a virtual address: the segment tells the other. */
static uint64_t to_physical(const struct elf_file *f, uint64_t addr)
{
	for (unsigned i = 0; i < f->eh.e_phnum; i++) {
		const Elf64_Phdr *ph = &f->ph[i];
		if (ph->p_type == PT_LOAD && addr >= ph->p_vaddr &&
			addr - ph->p_vaddr < ph->p_memsz)
			return ph->p_paddr + (addr - ph->p_vaddr);
	}
	return addr;
}

int vmlinux_load(
	int fd, const struct ram *ram, struct vmlinux *ret, struct err *err)
{
	struct elf_file f = {.fd = fd};
	struct vmlinux k = {0};
	int r = open_elf(&f, err);

	/* What is mapped comes first: it would cut huge pages that are there. */
	for (unsigned i = 0; r == 0 && i < f.eh.e_phnum; i++)
		if (is_table(&f.ph[i]))
			r = load_segment(&f, &f.ph[i], ram, &k.end, err);
	for (unsigned i = 0; r == 0 && i < f.eh.e_phnum; i++) {
		if (f.ph[i].p_type == PT_LOAD && !is_table(&f.ph[i]))
			r = load_segment(&f, &f.ph[i], ram, &k.end, err);
		else if (f.ph[i].p_type == PT_NOTE)
			read_notes(&f, &f.ph[i], &k.pvh_entry);
	}
	if (r < 0)
		return r;
	if (k.end == 0)
		return err_set(err, ENOEXEC, "the kernel has nothing to load");
	k.entry = to_physical(&f, f.eh.e_entry);
	*ret = k;
	return 0;
}
