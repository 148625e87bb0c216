/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/ram.h"

#include "vmm/layout.h"

#include <errno.h>
#include <sys/mman.h>

/* Address space for the part, its alignment and a guard on both sides. */
static int reserve(struct ram_part *p, struct err *err)
{
	uintptr_t at;

	p->reserved_len = p->size + 2 * RAM_ALIGN + 2 * PAGE;
	p->reserved = mmap(NULL, p->reserved_len, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->reserved == MAP_FAILED) {
		p->reserved = NULL;
		return err_sys(err, errno, "cannot reserve guest memory");
	}
	at = (uintptr_t)p->reserved + PAGE;
	at = (at + RAM_ALIGN - 1) & ~(uintptr_t)(RAM_ALIGN - 1);
	p->hva = (uint8_t *)at;
	return 0;
}

/* It holds other people's secrets, and nobody forks with it. */
static void keep_to_ourselves(void *p, size_t len)
{
	(void)madvise(p, len, MADV_DONTDUMP);
	(void)madvise(p, len, MADV_DONTFORK);
}

static int map_part(struct ram_part *p, int file, struct err *err)
{
	int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
	int r = reserve(p, err);

	if (r < 0)
		return r;
	if (file < 0)
		flags |= MAP_ANONYMOUS;
	if (mmap(p->hva, p->size, PROT_READ | PROT_WRITE, flags, file,
		    file < 0 ? 0 : (off_t)p->offset) == MAP_FAILED)
		return err_sys(err, errno, "cannot map guest memory");
	/* Huge pages save nine of ten nested page faults. */
	if (file < 0)
		(void)madvise(p->hva, p->size, MADV_HUGEPAGE);
	keep_to_ourselves(p->hva, p->size);
	return 0;
}

static void split(struct ram *ram, uint64_t size)
{
	uint64_t low = MIN(size, GPA_LOW_END);

	ram->size = size;
	ram->part[0] = (struct ram_part){.gpa = 0, .size = low};
	ram->n = 1;
	if (size > low) {
		ram->part[1] = (struct ram_part){
			.gpa = GPA_HIGH, .size = size - low, .offset = low};
		ram->n = 2;
	}
}

int ram_open(struct ram *ram, uint64_t size, int file, struct err *err)
{
	*ram = (struct ram){0};
	if (size < 4 * MIB || size % PAGE || size > GPA_HIGH_MAX - GPA_HIGH)
		return err_set(err, EINVAL,
			"guest memory of %llu bytes is not possible",
			(unsigned long long)size);
	split(ram, size);
	ram->gm = gmem_new();
	for (unsigned i = 0; i < ram->n; i++) {
		struct ram_part *p = &ram->part[i];
		int r = map_part(p, file, err);
		if (r == 0 && gmem_add(ram->gm, p->gpa, p->size, p->hva) < 0)
			r = err_set(err, EINVAL, "guest memory overlaps");
		if (r < 0) {
			ram_done(ram);
			return r;
		}
	}
	return 0;
}

void ram_done(struct ram *ram)
{
	gmem_unref(ram->gm);
	for (unsigned i = 0; i < ram->n; i++)
		if (ram->part[i].reserved)
			munmap(ram->part[i].reserved,
				ram->part[i].reserved_len);
	*ram = (struct ram){0};
}

int ram_plug(const struct ram *ram, struct kvm *k, struct err *err)
{
	for (unsigned i = 0; i < ram->n; i++) {
		const struct ram_part *p = &ram->part[i];
		int r = kvm_add_memory(k, p->gpa, p->hva, p->size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int ram_map(
	const struct ram *ram, uint64_t gpa, uint64_t len, int fd, off_t offset)
{
	uint8_t *p = gmem_ptr(ram->gm, gpa, len);

	if (!p || (uintptr_t)p % PAGE)
		return -EINVAL;
	if (mmap(p, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		    offset) == MAP_FAILED)
		return -errno;
	keep_to_ourselves(p, len);
	return 0;
}

uint64_t ram_low_end(const struct ram *ram)
{
	return ram->part[0].size;
}
