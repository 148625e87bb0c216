/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu_state.h"

#include "vmm/vcpu_regs.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u

int msr_list_get(int dev, struct msr_list *ret)
{
	_cleanup_free_ struct kvm_msr_list *l =
		xcalloc(1, sizeof(*l) + STATE_MSRS * sizeof(l->indices[0]));

	l->nmsrs = STATE_MSRS;
	if (ioctl(dev, KVM_GET_MSR_INDEX_LIST, l) < 0)
		return -errno;
	ret->n = l->nmsrs;
	memcpy(ret->index, l->indices, l->nmsrs * sizeof(l->indices[0]));
	return 0;
}

/* One that cannot be read (a feature this guest lacks) is left out. */
static void get_msrs(
	int vcpu, const struct msr_list *list, struct vcpu_state *s)
{
	for (uint32_t i = 0; i < list->n; i++) {
		struct msr_value *m = &s->msr[s->n_msrs];

		m->index = list->index[i];
		if (regs_get_msr(vcpu, m->index, &m->value) == 0)
			s->n_msrs++;
	}
}

int vcpu_state_get(
	int vcpu, const struct msr_list *list, struct vcpu_state *ret)
{
	struct vcpu_state *s = ret;

	memset(s, 0, sizeof(*s));
	/* First: reading it settles an INIT or SIPI that is under way. */
	if (ioctl(vcpu, KVM_GET_MP_STATE, &s->mp) < 0 ||
		ioctl(vcpu, KVM_GET_REGS, &s->regs) < 0 ||
		ioctl(vcpu, KVM_GET_SREGS, &s->sregs) < 0 ||
		ioctl(vcpu, KVM_GET_XSAVE, s->xsave) < 0 ||
		ioctl(vcpu, KVM_GET_DEBUGREGS, &s->debug) < 0 ||
		ioctl(vcpu, KVM_GET_LAPIC, &s->lapic) < 0 ||
		ioctl(vcpu, KVM_GET_VCPU_EVENTS, &s->events) < 0)
		return -errno;
	if (ioctl(vcpu, KVM_GET_XCRS, &s->xcrs) < 0)
		s->xcrs.nr_xcrs = 0; /* a host without XSAVE */
	get_msrs(vcpu, list, s);
	return 0;
}

static uint64_t value_of(const struct vcpu_state *s, uint32_t index)
{
	for (uint32_t i = 0; i < s->n_msrs; i++)
		if (s->msr[i].index == index)
			return s->msr[i].value;
	return 0;
}

/*
 * The clock before its deadline. A deadline of zero is one that had passed
 * and whose interrupt may not have been delivered: it is due at once. Others
 * that the kernel refuses are read-only ones.
 */
static void set_msrs(int vcpu, const struct vcpu_state *s)
{
	uint64_t tsc = value_of(s, MSR_TSC);
	uint64_t deadline = value_of(s, MSR_TSC_DEADLINE);

	(void)regs_set_msr(vcpu, MSR_TSC, tsc);
	for (uint32_t i = 0; i < s->n_msrs; i++)
		if (s->msr[i].index != MSR_TSC &&
			s->msr[i].index != MSR_TSC_DEADLINE)
			(void)regs_set_msr(
				vcpu, s->msr[i].index, s->msr[i].value);
	(void)regs_set_msr(vcpu, MSR_TSC_DEADLINE, deadline ? deadline : tsc);
}

int vcpu_state_set(int vcpu, const struct vcpu_state *s)
{
	if (s->n_msrs > STATE_MSRS)
		return -EINVAL;
	if (ioctl(vcpu, KVM_SET_SREGS, &s->sregs) < 0)
		return -errno;
	if (s->xcrs.nr_xcrs > 0 && ioctl(vcpu, KVM_SET_XCRS, &s->xcrs) < 0)
		return -errno;
	if (ioctl(vcpu, KVM_SET_XSAVE, s->xsave) < 0 ||
		ioctl(vcpu, KVM_SET_REGS, &s->regs) < 0 ||
		ioctl(vcpu, KVM_SET_LAPIC, &s->lapic) < 0)
		return -errno;
	set_msrs(vcpu, s);
	if (ioctl(vcpu, KVM_SET_DEBUGREGS, &s->debug) < 0 ||
		ioctl(vcpu, KVM_SET_VCPU_EVENTS, &s->events) < 0 ||
		ioctl(vcpu, KVM_SET_MP_STATE, &s->mp) < 0)
		return -errno;
	/* Tells a guest with kvmclock that it was away; others refuse. */
	(void)ioctl(vcpu, KVM_KVMCLOCK_CTRL, 0);
	return 0;
}
