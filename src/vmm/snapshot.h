/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot - the state of a paused machine as plain structs, and the file that
 * holds it. Memory lies in a file of its own, in guest order, so that it can be
 * mapped (ram.h).
 *
 * snapshot_decode() treats its input as hostile: counts and sizes are checked
 * here, values by whoever takes them (the kernel, the transport). A snapshot
 * belongs to one version of this program and one kind of processor.
 */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

#include "base/buf.h"
#include "base/err.h"
#include "vmm/kvm.h"
#include "vmm/layout.h"
#include "vmm/mmio.h"
#include "vmm/uart.h"
#include "vmm/vcpu_state.h"

#define SNAPSHOT_VERSION 1u
#define SNAPSHOT_MAX (192u * 1024u * 1024u)
/* Of one device: the names of a large tree that the guest has seen. */
#define SNAPSHOT_EXTRA_MAX (128u * 1024u * 1024u)

struct snapshot_device {
	uint32_t id; /* VIRTIO_ID_* */
	struct mmio_state mmio;
	uint8_t *extra; /* what only the device understands; owned */
	uint32_t extra_len;
};

struct snapshot {
	uint64_t memory;
	uint32_t cpus;
	struct kvm_cpuid2 *cpuid; /* owned */
	struct vcpu_state *vcpu;  /* owned, one for each processor */
	uint32_t n_vcpus;         /* read so far */
	struct kvm_clock_data clock;
	struct kvm_irqchip irqchip[3];
	struct uart_state uart;
	struct snapshot_device device[VIRTIO_MAX];
	size_t n_devices;
};

void snapshot_done(struct snapshot *s);
/* 0 or -ENOBUFS. */
int snapshot_encode(const struct snapshot *s, struct buf *b);
/* -EBADMSG with text; ret is then empty. */
int snapshot_decode(
	const uint8_t *p, size_t len, struct snapshot *ret, struct err *err);

/* The same through a file. */
int snapshot_write(const struct snapshot *s, int fd, struct err *err);
int snapshot_read(int fd, struct snapshot *ret, struct err *err);

#endif
