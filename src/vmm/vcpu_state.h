/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_state - everything a processor is, as one plain struct: read from a
 * parked one, written to a fresh one. Runs on the processor's own thread. The
 * bytes may come from a file that somebody changed: the kernel checks each
 * part, we check the counts.
 */
#ifndef VMM_VCPU_STATE_H
#define VMM_VCPU_STATE_H

#include "base/util.h"
#include <linux/kvm.h>

#define STATE_MSRS 256u

struct msr_value {
	uint32_t index;
	uint32_t zero;
	uint64_t value;
};

struct vcpu_state {
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	uint32_t xsave[1024]; /* struct kvm_xsave without AMX */
	struct kvm_lapic_state lapic;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	uint32_t n_msrs;
	uint32_t zero;
	struct msr_value msr[STATE_MSRS];
};

/* The registers worth saving, from KVM_GET_MSR_INDEX_LIST. */
struct msr_list {
	uint32_t n;
	uint32_t index[STATE_MSRS];
};

/* dev is /dev/kvm. 0 or -errno. */
int msr_list_get(int dev, struct msr_list *ret);
/* 0 or -errno. */
int vcpu_state_get(
	int vcpu, const struct msr_list *list, struct vcpu_state *ret);
int vcpu_state_set(int vcpu, const struct vcpu_state *s);

#endif
