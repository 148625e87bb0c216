/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio - the virtio-mmio transport (virtio 1.2 section 4.2.2) for the devices
 * of src/virtio.
 *
 * The registers of a device are one page of ours that always holds what the
 * guest would read. Where the kernel can, it shows that page to the guest
 * read-only, so that reads cost no exit; only writes come here. The doorbell
 * and the interrupt acknowledgement are eventfds and do not come here either.
 *
 * The driver's set-up is a state machine: each register can be written in the
 * states where the specification lets it, once the queues run nothing of them
 * can change until a reset, and anything else is counted and ignored.
 *
 * Threads: register writes on vCPU threads under the device's lock; the device
 * itself is only called on the loop's thread (calls.h); interrupts come from
 * any thread and touch two atomic words. The values are all hostile.
 */
#ifndef VMM_MMIO_H
#define VMM_MMIO_H

#include "virtio/dev.h"
#include "vmm/acpi.h"
#include "vmm/bus.h"
#include "vmm/calls.h"
#include "vmm/kvm.h"

#define MMIO_CONFIG_MAX 256u

/* What the driver has said; all a snapshot needs beside the device's own. */
struct mmio_queue {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint16_t size;
	uint16_t last_avail; /* saved while stopped */
	bool ready;
};

struct mmio_state {
	uint32_t status;
	uint32_t isr;
	uint32_t features_sel;
	uint32_t driver_sel;
	uint64_t driver_features;
	uint32_t queue_sel;
	struct mmio_queue q[VDEV_QUEUES];
};

struct mmio_bank;

struct mmio {
	struct vdev_host host; /* first: the device's way back to us */
	struct mmio_bank *bank;
	struct vdev *dev;
	uint8_t *page; /* in the bank; little-endian registers */
	uint32_t gsi;
	int irq_fd;
	int ack_fd;               /* swallows acknowledgements */
	int bell_fd[VDEV_QUEUES]; /* [0] for all unless the device has own */
	struct watch bell[VDEV_QUEUES];
	pthread_mutex_t lock;
	struct mmio_state s; /* status and isr live in the page */
	uint64_t n_refused;  /* writes in the wrong state */
};

struct mmio_bank {
	struct loop *loop;
	struct calls *calls;
	struct kvm *kvm; /* NULL in tests: no doorbells, no interrupts */
	struct gmem *gm;
	uint8_t *pages;
	struct mmio dev[VIRTIO_MAX];
	struct acpi_mmio where[VIRTIO_MAX]; /* for the tables */
	size_t n;
};

int mmio_bank_init(struct mmio_bank *b, struct loop *l, struct calls *calls,
	struct kvm *kvm, struct gmem *gm, struct err *err);
/* Stops the devices; the loop no longer runs. Devices stay the caller's. */
void mmio_bank_done(struct mmio_bank *b);
/* Attaches a device; the order is the guest's order of discovery. */
int mmio_add(struct mmio_bank *b, struct bus *bus, struct vdev *dev,
	struct err *err);
/* After the last device: lets the guest read the registers without us. */
int mmio_bank_seal(struct mmio_bank *b, struct err *err);

/* Loop's thread, vCPUs parked: stops the queues and tells their state. */
void mmio_save(struct mmio *m, struct mmio_state *ret);
/* Starts the queues as they were. -EINVAL when the state makes no sense. */
int mmio_restore(struct mmio *m, const struct mmio_state *s);
/* Starts the queues again after mmio_save(), where the machine goes on. */
int mmio_continue(struct mmio *m);

extern const struct bus_ops mmio_ops;

#endif
