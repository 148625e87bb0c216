/* SPDX-License-Identifier: Apache-2.0 */
/* engine_internal - what the files of the engine share among themselves. */
#ifndef DAEMON_ENGINE_INTERNAL_H
#define DAEMON_ENGINE_INTERNAL_H

#include "daemon/engine.h"
#include "daemon/spawn.h"

/* What a child is told at birth, and the descriptors beside it. */
struct birth {
	struct buf msg;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	int own[16]; /* closed by birth_done() */
	size_t n_own;
};

void birth_init(struct birth *b, const struct engine_config *cfg);
void birth_done(struct birth *b);
/* Lends fd; the message names it under tag. */
void birth_fd(struct birth *b, uint16_t tag, int fd);
/* The same, and fd is the birth's from now on. */
void birth_own_fd(struct birth *b, uint16_t tag, int fd);
/* Opens path, which then is the birth's. */
int birth_open(struct birth *b, uint16_t tag, const char *path, int flags,
	struct err *err);
/* Run directory, listening vsock.sock, console log, exports, owner. */
int birth_common(
	struct birth *b, const struct engine_config *cfg, struct err *err);
/* Queues the message and starts the program, which reads it first thing. */
int birth_spawn(const struct birth *b, const char *program_name,
	const char *log_path, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err);

/* cove-vmm with all its devices. engine_vmm.c */
int vmm_spawn(const struct engine_config *cfg, spawn_record_fn *record,
	void *arg, struct proc_id *ret_id, int *ret_pidfd, struct err *err);

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
