/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram - the guest's memory: up to 3 GiB at 0, the rest at 4 GiB. Either fresh
 * anonymous memory on huge pages, or a private copy-on-write mapping of a
 * snapshot's memory file, whose bytes lie in guest order: low part first.
 * Each part has inaccessible guard pages around it. Owns the mappings; set up
 * by the main thread, then read by all. The size is ours, the file is ours.
 */
#ifndef VMM_RAM_H
#define VMM_RAM_H

#include "base/err.h"
#include "virtio/gmem.h"
#include "vmm/kvm.h"

#define RAM_PARTS 2u
#define RAM_ALIGN (2 * MIB)

struct ram_part {
	uint64_t gpa;
	uint64_t size;
	uint64_t offset; /* in a memory file */
	uint8_t *hva;
	void *reserved; /* the mapping with its guards */
	size_t reserved_len;
};

struct ram {
	uint64_t size;
	struct ram_part part[RAM_PARTS];
	unsigned n;
	struct gmem *gm;
};

/*
 * size: a multiple of 4 KiB, at most what fits below GPA_HIGH_MAX. file: a
 * memory file of at least that size that never changes, or -1.
 */
int ram_open(struct ram *ram, uint64_t size, int file, struct err *err);
void ram_done(struct ram *ram);
int ram_plug(const struct ram *ram, struct kvm *k, struct err *err);
/*
 * The file's bytes from offset on (a multiple of 4 KiB, as gpa and len are) as
 * guest memory from gpa on, which the caller checked: read when they are used,
 * shared with all who map them, copied when the guest writes. The file must
 * not get shorter for as long as the guest runs. -errno.
 */
int ram_map(const struct ram *ram, uint64_t gpa, uint64_t len, int fd,
	off_t offset);
/* The end of the first part, in guest addresses. */
uint64_t ram_low_end(const struct ram *ram);

#endif
