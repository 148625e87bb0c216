/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices - which devices this sandbox has and how they are connected: disks,
 * the shared directories, streams, entropy, memory given back. Owns them; the
 * descriptors stay the configuration's, except the exports, which the file
 * server takes. Loop's thread.
 */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

#include "virtio/balloon.h"
#include "virtio/blk.h"
#include "virtio/rng.h"
#include "virtio/share.h"
#include "vmm/config.h"
#include "vmm/mmio.h"
#include "vmm/snapshot.h"

struct devices {
	struct loop *loop;
	struct blk *blk[BIRTH_DISKS];
	struct share share;
	struct rng *rng;
	struct balloon *balloon;
};

/* Makes the devices and their threads and puts them on the bus. */
int devices_attach(struct devices *d, struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err);
/*
 * What a device knows beside its registers and rings; the queues are stopped.
 * The entry's id names the device.
 */
int devices_save(
	struct devices *d, struct snapshot_device *to, struct err *err);
int devices_restore(
	struct devices *d, const struct snapshot_device *from, struct err *err);
/* The queues run again: streams of before are dead and the guest is told. */
void devices_restored(struct devices *d);
/* After mmio_bank_done(); the loop does not run. */
void devices_done(struct devices *d);

#endif
