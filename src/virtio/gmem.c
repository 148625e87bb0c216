/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/gmem.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct gmem *gmem_new(void)
{
	struct gmem *gm = xnew(struct gmem);

	atomic_init(&gm->refs, 1);
	return gm;
}

struct gmem *gmem_ref(struct gmem *gm)
{
	atomic_fetch_add_explicit(&gm->refs, 1, memory_order_relaxed);
	return gm;
}

void gmem_unref(struct gmem *gm)
{
	if (!gm)
		return;
	if (atomic_fetch_sub_explicit(&gm->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < gm->n; i++)
		if (gm->region[i].map_len)
			munmap(gm->region[i].hva, gm->region[i].map_len);
	free(gm);
}

void gmem_unrefp(struct gmem **gm)
{
	gmem_unref(*gm);
}

static int check_range(const struct gmem *gm, uint64_t gpa, uint64_t size)
{
	uint64_t end;

	if (!size || size > SIZE_MAX / 2 || !add_ok(gpa, size, &end))
		return -EINVAL;
	for (unsigned i = 0; i < gm->n; i++) {
		const struct gmem_region *r = &gm->region[i];

		if (gpa < r->gpa + r->size && r->gpa < end)
			return -EINVAL;
	}
	return gm->n == GMEM_REGIONS ? -ENOSPC : 0;
}

int gmem_add(struct gmem *gm, uint64_t gpa, uint64_t size, void *hva)
{
	int r = check_range(gm, gpa, size);

	if (r < 0)
		return r;
	gm->region[gm->n++] = (struct gmem_region){gpa, size, hva, 0};
	return 0;
}

/* A file that ends early would turn a guest's access into our SIGBUS. */
static int check_file(int fd, uint64_t offset, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct stat st;
	uint64_t end;

	if (!add_ok(offset, size, &end) || end > INT64_MAX)
		return -EINVAL;
	if (offset % page || size % page)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < end)
		return -EINVAL;
	return 0;
}

int gmem_add_fd(
	struct gmem *gm, uint64_t gpa, uint64_t size, int fd, uint64_t offset)
{
	int r = check_range(gm, gpa, size);
	void *p;

	r = r ? r : check_file(fd, offset, size);
	if (r < 0)
		return r;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		fd, (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	/* Guest memory holds other people's secrets: never in a core dump. */
	(void)madvise(p, size, MADV_DONTDUMP);
	gm->region[gm->n++] = (struct gmem_region){gpa, size, p, size};
	return 0;
}

void *gmem_ptr(const struct gmem *gm, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < gm->n; i++) {
		const struct gmem_region *r = &gm->region[i];

		if (gpa < r->gpa || gpa - r->gpa >= r->size)
			continue;
		if (!len || len > r->size - (gpa - r->gpa))
			return NULL;
		return r->hva + (gpa - r->gpa);
	}
	return NULL;
}
