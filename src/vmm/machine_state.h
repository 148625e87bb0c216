/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine_state - from a paused machine to a snapshot, and from a snapshot to
 * a machine that was built but has not run. Main thread.
 */
#ifndef VMM_MACHINE_STATE_H
#define VMM_MACHINE_STATE_H

#include "vmm/machine.h"

/*
 * Writes state and memory to two empty files. The machine is paused and stays
 * so, able to go on. Devices are quiet when this returns.
 */
int machine_save(struct machine *m, int state, int memory, struct err *err);
/* After machine_build() and the processors' start, all parked. */
int machine_restore(
	struct machine *m, const struct snapshot *s, struct err *err);

#endif
