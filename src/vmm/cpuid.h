/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpuid - the processor the guest sees: what the host supports, without what
 * a sandbox has no use for, and with its own number and topology. Pure.
 */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include "base/util.h"
#include <linux/kvm.h>

/*
 * Edits the host's table in place for all vCPUs. Call once, then
 * cpuid_number() on a copy for each vCPU.
 */
void cpuid_template(struct kvm_cpuid2 *c, unsigned n_cpus);
/* Writes one vCPU's number (its APIC id) into the table. */
void cpuid_number(struct kvm_cpuid2 *c, unsigned index);

#endif
