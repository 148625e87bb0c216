/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail - giving up privilege, in named steps. A role calls them in this order,
 * each exactly once, and does not start when one of them fails:
 *
 *   jail_fds           every descriptor it was not given is closed
 *   jail_view          its own mount, network and IPC namespaces; the only
 *                      files that have a name are the given ones
 *   jail_landlock      instead, where the kernel or the administrator does not
 *                      allow namespaces
 *   jail_capabilities  what root may still do, and no new privileges for ever
 *   jail_limits        no core dump, no other process may look inside
 *   jail_syscalls      the system calls of its profile; any other one kills it
 *
 * jail_enter() does the first five, with view or else Landlock. The last one
 * comes when threads are running and everything is open.
 *
 * Single-threaded until jail_syscalls(). Nothing here is optional; what the
 * host cannot give is logged as a warning.
 */
#ifndef JAIL_JAIL_H
#define JAIL_JAIL_H

#include "base/err.h"

#define JAIL_ENTRIES_MAX 64u

/*
 * A directory or file that stays visible, at "/name". *fd is an O_PATH
 * descriptor; jail_view() replaces what is behind the same number by the
 * jail's own view of it, so that ".." leads nowhere.
 */
struct jail_entry {
	const int *fd;
	const char *name; /* one component */
	bool read_only;
};

struct jail_files {
	struct jail_entry entry[JAIL_ENTRIES_MAX];
	size_t n;
	bool network; /* keep the host's network: cove-gate only */
};

enum jail_profile {
	JAIL_DEVICES, /* cove-devices */
	JAIL_IMAGE,   /* the archive parser of cove-image: only descriptors */
	JAIL_FETCH,   /* cove-fetch: internet sockets, one file, no name */
	JAIL_VMM,     /* cove-vmm: all its threads */
	JAIL_VCPU,    /* cove-vmm: a vCPU's thread, on top of the other */
	JAIL_GATE,    /* cove-gate: internet sockets, its own log directory */
};

/* Closes everything from 3 on but keep[0..n), which are in no order. */
int jail_fds(const int *keep, size_t n, struct err *err);
/*
 * -EOPNOTSUPP: namespaces or mounts are not to be had here, files are as they
 * were. Any other failure is final.
 */
int jail_view(const struct jail_files *f, struct err *err);
/* -EOPNOTSUPP: the kernel has no Landlock, or one too old for renames. */
int jail_landlock(const struct jail_files *f, struct err *err);
/* keep: a mask of 1 << CAP_*; what is not held is not gained. */
int jail_capabilities(uint64_t keep, struct err *err);
int jail_limits(struct err *err);
int jail_syscalls(enum jail_profile p, struct err *err);
/*
 * What root keeps so that root's own files stay reachable through a share:
 * reading and writing whatever the permission bits say, owners and modes. Not
 * CAP_FSETID: a write by the guest must take set-id bits away.
 * Everybody else has none of these and keeps none.
 */
extern const uint64_t jail_file_capabilities;

/* All but jail_fds and jail_syscalls. Warns when there is no view. */
int jail_enter(
	const struct jail_files *f, uint64_t capabilities, struct err *err);

#endif
