/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver - the guest's end of a split virtqueue, for tests: some memory, rings
 * in it, and a bump allocator for buffers. It can be as wrong as a test wants,
 * because all rings and descriptors are in plain sight.
 */
#ifndef TESTS_VIRTIO_DRIVER_H
#define TESTS_VIRTIO_DRIVER_H

#include "virtio/dev.h"

#define DRIVER_RAM (4u << 20)
#define DRIVER_BASE 0x10000u /* guest address of the first byte */

struct ram {
	uint8_t *mem; /* DRIVER_RAM bytes, page-aligned */
	struct gmem *gm;
	uint64_t next; /* guest address for the next allocation */
};

/* The very last byte of the memory borders on an unmapped page. */
void ram_init(struct ram *r);
void ram_done(struct ram *r);
uint64_t ram_alloc(struct ram *r, uint32_t len, uint32_t align);
void *ram_at(const struct ram *r, uint64_t gpa);

struct driver {
	struct ram *ram;
	struct vq_config cfg;
	struct vring_desc *desc;
	uint16_t *avail; /* flags idx ring used_event */
	uint16_t *used;  /* flags idx ring avail_event */
	uint16_t next_desc;
	uint16_t used_seen;
};

struct part {
	uint64_t gpa;
	uint32_t len;
	bool write;
};

void driver_init(struct driver *d, struct ram *r, uint16_t size);
/* Links the parts into a chain in the table; returns its head. */
uint16_t driver_chain(struct driver *d, const struct part *p, unsigned n);
/* The same in an indirect table of its own. */
uint16_t driver_indirect(struct driver *d, const struct part *p, unsigned n);
/* Offers a head to the device. */
void driver_offer(struct driver *d, uint16_t head);
/* The next used entry, or false. */
bool driver_used(struct driver *d, uint32_t *ret_id, uint32_t *ret_len);

#endif
