/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd - whole-buffer I/O, descriptor passing, Unix sockets and processes by
 * descriptor. All functions create descriptors close-on-exec.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include "base/err.h"
#include <sys/types.h>

/* 0 or -errno; a short read is -EPIPE. Retries EINTR. */
int fd_write_all(int fd, const void *p, size_t len);
int fd_read_all(int fd, void *p, size_t len);
/* Reads the file up to max bytes, NUL-terminated; length or -errno (-EFBIG). */
ssize_t fd_slurp_at(int dirfd, const char *path, size_t max, char **ret);
/* Writes a temporary file next to path, fsyncs it, renames it over path. */
int fd_replace_at(
	int dirfd, const char *path, const void *p, size_t len, mode_t mode);
int fd_nonblock(int fd, bool on);
int fd_cloexec(int fd, bool on);

/* Unix stream sockets whose path may be longer than sun_path: dirfd + name. */
int sock_listen_at(int dirfd, const char *name, mode_t mode);
int sock_connect_at(int dirfd, const char *name);
int sock_peer_uid(int fd, uid_t *ret_uid);

#define FD_PASS_MAX 64
/* One datagram or record with up to FD_PASS_MAX descriptors. 0 or -errno. */
int sock_send_fds(
	int sock, const void *p, size_t len, const int *fds, size_t n_fds);
/*
 * Bytes received (0 at end), -errno. The caller owns fds[0..*ret_n_fds);
 * descriptors beyond max_fds are closed.
 */
ssize_t sock_recv_fds(int sock, void *p, size_t len, int *fds, size_t max_fds,
	size_t *ret_n_fds);

/*
 * A process is named by pid and start time (field 22 of /proc/PID/stat), so a
 * recycled pid is never mistaken for it.
 */
struct proc_id {
	pid_t pid;
	uint64_t start; /* clock ticks since boot; 0 = unknown */
};
int proc_id_of(pid_t pid, struct proc_id *ret);
/* A pidfd, or -ESRCH when that very process is gone (zombies are gone). */
int proc_open(const struct proc_id *id);
int proc_signal(int pidfd, int signo);

#endif
