/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus - which device answers at which address: a sorted array of ranges that
 * is filled before the first vCPU runs and never changes afterwards, so any
 * thread may look things up without a lock. There is one bus for ports and
 * one for memory. The addresses come from the guest; a range never sees an
 * access that is not wholly inside it.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include "base/util.h"

#define BUS_RANGES 32u
#define BUS_ACCESS_MAX 8u /* bytes */

/*
 * Called on the vCPU's thread. off + len <= the range's length; len is 1, 2, 4
 * or 8 and not always naturally aligned. read() fills all of data.
 */
struct bus_ops {
	void (*read)(void *dev, uint64_t off, uint8_t *data, unsigned len);
	void (*write)(
		void *dev, uint64_t off, const uint8_t *data, unsigned len);
};

struct bus_range {
	uint64_t base;
	uint64_t len;
	const struct bus_ops *ops;
	void *dev;
};

struct bus {
	struct bus_range v[BUS_RANGES];
	size_t n;
	uint64_t n_unclaimed; /* accesses that no device answered (atomic) */
};

/* Ranges must not overlap: a bug, asserted. */
void bus_add(struct bus *b, uint64_t base, uint64_t len,
	const struct bus_ops *ops, void *dev);
/* The range that holds [addr, addr + len), or NULL. */
const struct bus_range *bus_find(
	const struct bus *b, uint64_t addr, unsigned len);
/* An address nobody answers reads as all ones and swallows writes. */
void bus_read(struct bus *b, uint64_t addr, uint8_t *data, unsigned len);
void bus_write(struct bus *b, uint64_t addr, const uint8_t *data, unsigned len);

#endif
