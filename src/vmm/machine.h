/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine - one sandbox's virtual machine: its memory, processors, buses and
 * devices, from the birth message to the end. Owns everything it makes; the
 * descriptors stay the configuration's. Main thread.
 *
 *   machine_open   the virtual machine, its memory, the kernel in it
 *   machine_build  the devices and their threads
 *   machine_load   what the kernel is told, or the snapshot's features
 *   machine_start  the processors; the last door closes; the guest runs
 *   machine_done   from any state
 *
 * The process is in its jail before any of it.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "base/loop.h"
#include "vmm/config.h"
#include "vmm/conlog.h"
#include "vmm/devices.h"
#include "vmm/mmio.h"
#include "vmm/pci.h"
#include "vmm/power.h"
#include "vmm/snapshot.h"
#include "vmm/uart.h"
#include "vmm/vcpu.h"

struct control;

struct machine {
	struct vmm_config *cfg;
	struct loop *loop;
	struct kvm kvm;
	struct ram ram;
	struct bus pio;
	struct bus mmio;
	struct kvm_cpuid2 *cpuid; /* until the processors take it */
	struct vcpus cpus;
	struct watch cpus_watch;
	struct conlog console;
	struct uart uart;
	int uart_irq;
	struct power power;
	struct pci pci;
	struct calls calls;
	struct mmio_bank bank;
	struct devices devices;
	struct boot_image image;
	struct boot_entry entry;
	struct snapshot *snapshot; /* to continue, until it runs */
	struct msr_list msrs;
	void (*parked)(struct machine *m); /* all processors have parked */
	struct control *control;           /* who wants to know */
	bool paused; /* somebody asked for it and it has happened */
	bool quiet;  /* the devices' queues are stopped */
};

struct machine_stats {
	uint64_t exits_io;
	uint64_t exits_mmio;
	uint64_t exits_other;
	uint64_t unclaimed;
	uint64_t refused;
	uint64_t console_bytes;
	uint64_t disk_read;
	uint64_t disk_written;
	uint64_t memory_returned;
};

int machine_open(struct machine *m, struct loop *l, struct vmm_config *cfg,
	struct err *err);
int machine_build(struct machine *m, struct err *err);
int machine_load(struct machine *m, struct err *err);
int machine_start(struct machine *m, struct err *err);
/* Also after a pause, and after a snapshot was taken. */
int machine_run(struct machine *m, struct err *err);
void machine_stats(const struct machine *m, struct machine_stats *ret);
void machine_done(struct machine *m);

/* One line for the log and the user: how the guest ended. */
enum vm_end machine_reason(struct machine *m, char *buf, size_t len);

#endif
