/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine - the processes that are one running sandbox: QEMU and the device
 * server beside it, or cove-vmm alone. They outlive coved; whoever comes next
 * adopts them by pid and start time.
 *
 * An engine is running while all its processes are: when one ends, the other
 * is to be killed (engine_kill). Loop thread only. Paths and sizes were validated.
 */
#ifndef DAEMON_ENGINE_H
#define DAEMON_ENGINE_H

#include "base/err.h"
#include "base/fd.h"
#include "wire/birth.h"

/* QEMU with cove-devices beside it, or cove-vmm, which is one process. */
enum engine_kind { ENGINE_QEMU, ENGINE_VMM };
enum engine_accel { ENGINE_TCG, ENGINE_KVM };
enum engine_role { ENGINE_MONITOR, ENGINE_DEVICES, ENGINE_N_ROLES };

struct engine_export {
	int fd; /* O_PATH of the directory or file; stays the caller's */
	uint32_t flags; /* AMF_RO, AMF_FILE (wire/agent.h) */
};

struct engine_config {
	const char *name;
	const char
		*run_dir; /* absolute, exists, 0700: sockets and console.log */
	const char *vmlinux;
	const char *initrd;
	const char *root; /* EROFS template, attached read-only */
	const char *disk;
	const char *docker_disk;
	enum engine_kind kind;
	enum engine_accel accel;
	uint32_t cpus;
	uint64_t memory; /* bytes, a multiple of 1 MiB */
	/* Export i is named by its decimal index below the share's root. */
	struct engine_export exports[BIRTH_EXPORTS];
	size_t n_exports;
};

struct engine {
	struct proc_id id[ENGINE_N_ROLES];
	/* Readable when that process has ended; -1: no such process. */
	int pidfd[ENGINE_N_ROLES];
};

/* Makes the identity of one process durable before it starts to work. */
typedef int engine_record_fn(void *arg, enum engine_role role,
	const struct proc_id *id, struct err *err);

/*
 * Starts both processes and returns at once; the guest announces itself on
 * run_dir/vsock.sock_1024, which the caller listens on. run_dir/vsock.sock
 * takes connections to the guest. On failure nothing is left running.
 */
int engine_start(const struct engine_config *cfg, engine_record_fn *record,
	void *arg, struct engine *ret, struct err *err);
/*
 * Takes over processes that an earlier coved started; pid 0 means there is no
 * such process. -ESRCH when one of them is gone; the other has then been killed.
 */
int engine_adopt(const struct proc_id id[ENGINE_N_ROLES], struct engine *ret);
/* SIGKILL to both; their pidfds then become readable. */
void engine_kill(struct engine *e);
/* Lets the monitor end by itself (flushes its disks): SIGTERM. */
void engine_quit(struct engine *e);
/* Closes the pidfds, reaps children. The processes are not touched. */
void engine_close(struct engine *e);
bool engine_is_open(const struct engine *e);
/* CPU time the monitor has used so far, in milliseconds; 0 when unknown. */
uint64_t engine_cpu_ms(const struct engine *e);
/* Private memory of all processes and guest memory in use, in bytes. */
uint64_t engine_memory(const struct engine *e);

struct engine_choice {
	enum engine_kind kind;
	enum engine_accel accel;
	const char *name;      /* "qemu" or "cove-vmm" */
	const char *isolation; /* "kvm" or "tcg" */
	char why[256];
};

/*
 * want: "auto", "kvm" or "qemu". Runs the millisecond probe once per boot of
 * the host and remembers the answer. -EOPNOTSUPP with the reason.
 */
int engine_choose(const char *want, struct engine_choice *ret, struct err *err);

#endif
