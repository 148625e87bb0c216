/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu - one processor of the guest and the thread that owns it. The thread
 * makes the processor, runs it, hands its accesses to the buses and is the
 * only one that ever touches its registers; others ask it by vcpu_call(),
 * which works while the processor is parked.
 *
 *   vcpus_start -> parked -> vcpus_resume -> running -> vcpus_pause -> parked
 *   vcpus_stop from anywhere: the threads end and are joined
 *
 * All functions are for the main thread, except vcpus_end(). What the guest
 * does in an exit is hostile; it can only end the guest.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/boot.h"
#include "vmm/bus.h"
#include "vmm/kvm.h"
#include <pthread.h>

#define VCPU_EXITS 40u /* reasons counted: KVM_EXIT_* below this */

enum vm_end {
	VM_END_NONE,
	VM_END_OFF,      /* the guest powered off */
	VM_END_RESET,    /* the guest asked for a reset */
	VM_END_CRASH,    /* triple fault */
	VM_END_INTERNAL, /* the hypervisor gave up; see the text */
	VM_END_STOPPED,  /* we were told to stop */
};

struct vcpus;

struct vcpu {
	struct vcpus *set;
	unsigned index;
	int fd;
	struct kvm_run *run;
	struct kvm_coalesced_mmio_ring *ring; /* all have the same, or NULL */
	pthread_t thread;
	bool started;
	bool parked;                           /* under set->lock */
	int (*job)(struct vcpu *v, void *arg); /* under set->lock */
	void *job_arg;
	int job_result;
	uint64_t exits[VCPU_EXITS]; /* to us, by reason; owner writes */
};

struct vcpus {
	struct kvm *kvm;
	struct bus *pio;
	struct bus *mmio;
	struct kvm_cpuid2 *cpuid; /* the template; owned */
	unsigned n;
	struct vcpu *v; /* owned, n of them */
	/*
	 * Signalled when the last processor has parked and when the guest has
	 * ended; the main thread watches it.
	 */
	int event_fd;
	pthread_mutex_t ring_lock; /* who takes writes out of the ring */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum { VCPUS_PARK, VCPUS_RUN, VCPUS_QUIT } want;
	unsigned n_parked;
	unsigned n_failed; /* threads that could not start */
	enum vm_end end;   /* the first one counts */
	char end_text[256];
};

/* Makes the threads and processors, all parked. cpuid is taken. */
int vcpus_start(struct vcpus *s, struct kvm *k, unsigned n, struct bus *pio,
	struct bus *mmio, struct kvm_cpuid2 *cpuid, struct err *err);
/* Ends and joins the threads. Harmless twice. */
void vcpus_stop(struct vcpus *s);

/* The first processor's registers for a fresh boot; all must be parked. */
int vcpus_boot(
	struct vcpus *s, const struct boot_entry *entry, struct err *err);
void vcpus_resume(struct vcpus *s);
/* Asks all to park; event_fd tells when vcpus_parked() is true. */
void vcpus_pause(struct vcpus *s);
bool vcpus_parked(struct vcpus *s);
/* Runs fn on the parked processor's own thread and returns its result. */
int vcpu_call(struct vcpu *v, int (*fn)(struct vcpu *v, void *arg), void *arg);

/* The guest is over, for this reason; any thread, the first one counts. */
void vcpus_end(struct vcpus *s, enum vm_end end, const char *fmt, ...)
	_printf_(3, 4);
/* How it ended, VM_END_NONE while it did not; text may be NULL. */
enum vm_end vcpus_ended(struct vcpus *s, char *text, size_t len);
/* Sum over all processors; KVM_EXIT_* below VCPU_EXITS. */
uint64_t vcpus_exits(const struct vcpus *s, unsigned reason);

#endif
