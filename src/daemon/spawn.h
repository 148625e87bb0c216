/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn - starts a child that is on record before it runs. The child waits on
 * a pipe until its pid and start time were recorded; a daemon that dies in
 * between closes the pipe and the child exits without having done anything.
 * Loop thread only; argv and descriptors are trusted.
 */
#ifndef DAEMON_SPAWN_H
#define DAEMON_SPAWN_H

#include "base/err.h"
#include "base/fd.h"

#define SPAWN_FDS_MAX 16

struct spawn {
	const char *path;        /* absolute path of the program */
	const char *const *argv; /* NULL-terminated */
	int stdin_fd;            /* -1: /dev/null */
	int stdout_fd;           /* -1: the same as stderr_fd */
	int stderr_fd;           /* -1: /dev/null */
	/* fds[i] becomes descriptor to[i] (> 2, all different) in the child. */
	int fds[SPAWN_FDS_MAX];
	int to[SPAWN_FDS_MAX];
	size_t n_fds;
	/* Called in the child just before exec; NULL = nothing. 0 or -errno. */
	int (*prepare)(void *arg);
	void *prepare_arg;
};

/*
 * Makes the child durable: returns 0 when the identity is recorded. Any other
 * value abandons the child.
 */
typedef int spawn_record_fn(
	void *arg, const struct proc_id *id, struct err *err);

/*
 * 0 and a pidfd the caller owns, or -errno. The child leads its own session,
 * has default signal handling and no other descriptors than the listed ones.
 */
int spawn_child(const struct spawn *sp, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err);
/*
 * A program of ours that is told everything over the socket at BIRTH_FD
 * (wire/birth.h); its messages go to the file log, opened with log_flags.
 */
int spawn_program(const char *name, int birth_sock, const char *log,
	int log_flags, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err);

#endif
