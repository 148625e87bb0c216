/* SPDX-License-Identifier: Apache-2.0 */
/* Sets the system call filters that filters.c has made. */
#include "jail/jail.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILTER(...)                                              \
	.code = (const struct sock_filter[]){__VA_ARGS__},       \
	.n = sizeof((const struct sock_filter[]){__VA_ARGS__}) / \
		sizeof(struct sock_filter)

static const struct {
	bool one_thread; /* binds the caller only */
	const struct sock_filter *code;
	unsigned short n;
} profiles[] = {
#include "jail/filters.inc"
};

static int set_filter(enum jail_profile p)
{
	struct sock_fprog prog = {
		.len = profiles[p].n,
		/* The kernel only reads it. */
		.filter = (void *)(uintptr_t)profiles[p].code,
	};
	/* Threads that run already are bound as well, all or none. */
	unsigned flags = profiles[p].one_thread ? 0 : SECCOMP_FILTER_FLAG_TSYNC;
	long r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (r < 0)
		return -errno;
	return r > 0 ? -ESRCH : 0; /* a thread that could not follow */
}

int jail_syscalls(enum jail_profile p, struct err *err)
{
	int r = set_filter(p);

	return r < 0 ? err_sys(err, -r, "system call filter") : 0;
}
