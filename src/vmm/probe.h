/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe - can this /dev/kvm run a stock kernel? CPUID does not tell, so a
 * tiny guest tries what a kernel does all the time: a locked 16-byte exchange,
 * SSE arithmetic on memory, and enough instructions to see that they are not
 * interpreted one by one. Limited by the thread's own CPU time, so a loaded
 * host does not turn yes into no. One call per process, main thread.
 */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include "base/err.h"

#define PROBE_CPU_MS 40 /* of this thread, for the whole guest */
#define PROBE_TRIES 4   /* when it took longer */

struct probe_result {
	bool usable;
	uint32_t ms; /* wall time it took */
	char why[ERR_TEXT_MAX];
};

/* dev is the path of the KVM device. */
void probe_run(const char *dev, struct probe_result *ret);
/* "--probe [--json]": prints the result; exit status 0 usable, 1 not, 2 usage. */
int probe_command(int argc, char **argv);

#endif
