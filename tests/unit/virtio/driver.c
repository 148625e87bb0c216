/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

void ram_init(struct ram *r)
{
	uint8_t *p = mmap(NULL, DRIVER_RAM + 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int e;

	assert(p != MAP_FAILED);
	e = mprotect(p + DRIVER_RAM, 4096, PROT_NONE);
	assert(e == 0);
	*r = (struct ram){.mem = p, .gm = gmem_new(), .next = DRIVER_BASE};
	e = gmem_add(r->gm, DRIVER_BASE, DRIVER_RAM, p);
	assert(e == 0);
}

void ram_done(struct ram *r)
{
	gmem_unref(r->gm);
	munmap(r->mem, DRIVER_RAM + 4096);
}

uint64_t ram_alloc(struct ram *r, uint32_t len, uint32_t align)
{
	uint64_t at = (r->next + align - 1) & ~(uint64_t)(align - 1);

	assert(at + len <= DRIVER_BASE + DRIVER_RAM);
	r->next = at + len;
	return at;
}

void *ram_at(const struct ram *r, uint64_t gpa)
{
	return r->mem + (gpa - DRIVER_BASE);
}

void driver_init(struct driver *d, struct ram *r, uint16_t size)
{
	*d = (struct driver){.ram = r};
	d->cfg.size = size;
	d->cfg.indirect = true;
	d->cfg.desc = ram_alloc(r, 16u * size, 16);
	d->cfg.avail = ram_alloc(r, 6u + 2u * size, 2);
	d->cfg.used = ram_alloc(r, 6u + 8u * size, 4);
	d->desc = ram_at(r, d->cfg.desc);
	d->avail = ram_at(r, d->cfg.avail);
	d->used = ram_at(r, d->cfg.used);
}

static void fill(struct vring_desc *t, const struct part *p, unsigned n,
	unsigned from, unsigned mask)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = (from + i) & mask;

		t[at] = (struct vring_desc){
			.addr = p[i].gpa,
			.len = p[i].len,
			.flags = (uint16_t)((p[i].write ? VRING_DESC_F_WRITE
							: 0) |
				(i + 1 < n ? VRING_DESC_F_NEXT : 0)),
			.next = (uint16_t)((at + 1) & mask),
		};
	}
}

uint16_t driver_chain(struct driver *d, const struct part *p, unsigned n)
{
	uint16_t head = d->next_desc;

	assert(n <= d->cfg.size);
	fill(d->desc, p, n, head, d->cfg.size - 1u);
	d->next_desc = (uint16_t)((head + n) & (d->cfg.size - 1u));
	return head;
}

uint16_t driver_indirect(struct driver *d, const struct part *p, unsigned n)
{
	uint64_t table = ram_alloc(d->ram, 16u * n, 16);
	uint16_t head = driver_chain(
		d, &(struct part){.gpa = table, .len = 16u * n}, 1);

	fill(ram_at(d->ram, table), p, n, 0, UINT16_MAX);
	d->desc[head].flags = VRING_DESC_F_INDIRECT;
	return head;
}

void driver_offer(struct driver *d, uint16_t head)
{
	uint16_t idx = d->avail[1];

	d->avail[2 + (idx & (d->cfg.size - 1u))] = head;
	__atomic_store_n(&d->avail[1], (uint16_t)(idx + 1), __ATOMIC_RELEASE);
}

bool driver_used(struct driver *d, uint32_t *ret_id, uint32_t *ret_len)
{
	struct vring_used_elem *e = (void *)(d->used + 2);
	uint16_t idx = __atomic_load_n(&d->used[1], __ATOMIC_ACQUIRE);

	if (idx == d->used_seen)
		return false;
	e += d->used_seen & (d->cfg.size - 1u);
	d->used_seen++;
	*ret_id = e->id;
	*ret_len = e->len;
	return true;
}
