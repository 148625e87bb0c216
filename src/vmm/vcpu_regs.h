/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_regs - a processor's features and first registers, set on its own
 * thread.
 */
#ifndef VMM_VCPU_REGS_H
#define VMM_VCPU_REGS_H

#include "vmm/boot.h"

/* The template with this processor's number. 0 or -errno. */
int regs_cpuid(int vcpu, const struct kvm_cpuid2 *table, unsigned index);
int regs_set_msr(int vcpu, uint32_t index, uint64_t value);
int regs_get_msr(int vcpu, uint32_t index, uint64_t *ret);
int regs_boot(int vcpu, const struct boot_entry *entry);

#endif
