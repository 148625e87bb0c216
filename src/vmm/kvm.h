/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm - the virtual machine as the kernel sees it: memory slots, interrupt
 * lines, doorbells, clock. Owns the descriptors of the machine. Main thread
 * only, except kvm_irq(). All input is our own.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include "base/err.h"
#include <linux/kvm.h>

#define KVM_SLOTS 4u

struct kvm {
	int dev; /* /dev/kvm; closed by kvm_seal() */
	int vm;
	size_t run_size; /* bytes to map for each vCPU */
	size_t ring_at;  /* where in them the ring of kept writes is, or 0 */
	unsigned n_slots;
	bool readonly; /* KVM_CAP_READONLY_MEM */
};

/*
 * Makes the machine with its interrupt controllers. dev is an open /dev/kvm,
 * which the struct then owns also on failure.
 */
int kvm_open(struct kvm *k, int dev, struct err *err);
void kvm_done(struct kvm *k);
/* Gives up what only set-up needs. */
void kvm_seal(struct kvm *k);

int kvm_add_memory(
	struct kvm *k, uint64_t gpa, void *hva, uint64_t len, struct err *err);
/*
 * Memory that the guest reads without an exit and whose writes come as exits.
 * 0 also where the kernel cannot: then reads come as exits, too.
 */
int kvm_add_readonly(
	struct kvm *k, uint64_t gpa, void *hva, uint64_t len, struct err *err);
/* An eventfd that raises an edge on the line when it is written. */
int kvm_irqfd(struct kvm *k, unsigned gsi, int fd);
/*
 * An eventfd that is signalled by a write to this guest address: any write, or
 * with value >= 0 a 32-bit write of this value.
 */
int kvm_doorbell(struct kvm *k, uint64_t gpa, int fd, int value);
/*
 * Writes of one byte to this port are kept in the ring until the next exit of
 * any processor, at most 170 of them; who runs the processors has to look
 * there. Where the kernel cannot, they come as exits.
 */
void kvm_keep_port(struct kvm *k, uint16_t port);
/* Raises an edge; any thread. */
void kvm_irq(struct kvm *k, unsigned gsi);

int kvm_new_vcpu(struct kvm *k, unsigned index, int *ret_fd, struct err *err);
/* What this host can offer a guest; heap, owned by the caller. */
int kvm_supported_cpuid(
	struct kvm *k, struct kvm_cpuid2 **ret, struct err *err);

#define KVM_CPUID_MAX 256u

#endif
