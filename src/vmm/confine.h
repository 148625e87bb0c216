/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine - the monitor's jail: what it keeps, in which order it gives up the
 * rest, and which requests to KVM are left. Not an option.
 *
 *   confine_process  first thing after birth: descriptors, namespaces,
 *                    capabilities; one thread so far
 *   confine_threads  last thing before the guest runs: system calls of all
 *                    threads
 *   confine_vcpu     on each vCPU's thread, on top: little more than KVM_RUN
 */
#ifndef VMM_CONFINE_H
#define VMM_CONFINE_H

#include "vmm/config.h"

int confine_process(struct vmm_config *cfg, int birth_fd, struct err *err);
int confine_threads(struct err *err);
/* 0 or -errno. */
int confine_vcpu(void);

#endif
