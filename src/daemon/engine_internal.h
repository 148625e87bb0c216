/* SPDX-License-Identifier: Apache-2.0 */
/* engine_internal - what the files of the engine share among themselves. */
#ifndef DAEMON_ENGINE_INTERNAL_H
#define DAEMON_ENGINE_INTERNAL_H

#include "daemon/engine.h"
#include "daemon/spawn.h"

/* One end goes to the device server, the other to the monitor. */
struct engine_pipes {
	int devices[3]; /* fs, vsock, console */
	int monitor[3];
};
enum { PIPE_FS, PIPE_VSOCK, PIPE_CONSOLE };

/* Starts QEMU with the monitor ends. engine_qemu.c */
int qemu_spawn(const struct engine_config *cfg, const int monitor[3],
	spawn_record_fn *record, void *arg, struct proc_id *ret_id,
	int *ret_pidfd, struct err *err);

/* The host's time stamp counter in kHz, measured once over at least 5 ms. */
uint64_t engine_tsc_khz(void);

#endif
