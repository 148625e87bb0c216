/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filter. A profile is a list of groups from one table; what
 * is not in it kills the process, so an attacker cannot even try.
 */
#include "jail/jail.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Memory, time, the end; a thread that is just starting has two calls more. */
static const int core[] = {
	SCMP_SYS(set_robust_list),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(close),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(rseq),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef __SANITIZE_ADDRESS__
	/* ASan asks for the signal stack before what does not return. */
	SCMP_SYS(sigaltstack),
#endif
};

static const int event_loop[] = {
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(fcntl),
	SCMP_SYS(poll),
	SCMP_SYS(dup3),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
};

static const int unix_sockets[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
};

static const int file_read[] = {
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(preadv2),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(getdents64),
	SCMP_SYS(readlinkat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fstatfs),
	SCMP_SYS(flock),
	SCMP_SYS(getxattr),
	SCMP_SYS(lgetxattr),
	SCMP_SYS(fgetxattr),
	SCMP_SYS(listxattr),
	SCMP_SYS(llistxattr),
	SCMP_SYS(flistxattr),
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
};

static const int file_write[] = {
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(pwritev2),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(syncfs),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(mkdirat),
	SCMP_SYS(mknodat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(symlinkat),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(fchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(utimensat),
	SCMP_SYS(setxattr),
	SCMP_SYS(lsetxattr),
	SCMP_SYS(fsetxattr),
	SCMP_SYS(removexattr),
	SCMP_SYS(lremovexattr),
	SCMP_SYS(fremovexattr),
};

/* A thread that will only become stricter. */
static const int narrow[] = {SCMP_SYS(seccomp), SCMP_SYS(prctl)};

/* Run the guest, ring bells, write its console's log, stop. */
static const int vcpu_thread[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(ftruncate),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(madvise),
	SCMP_SYS(munmap),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef __SANITIZE_ADDRESS__
	/* ASan asks for the signal stack before what does not return. */
	SCMP_SYS(sigaltstack),
#endif
};

/* Reading and writing files that are open. */
static const int file_data[] = {
	SCMP_SYS(poll),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
};

/* The door to the world: names are asked and streams opened from here. */
static const int internet[] = {
	SCMP_SYS(bind),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(setsockopt),
};

/* A log of its own that is turned over. */
static const int own_log[] = {
	SCMP_SYS(openat),
	SCMP_SYS(renameat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(pread64),
	SCMP_SYS(lseek),
	SCMP_SYS(ftruncate),
};

/* glibc's qsort asks how much memory there is; OpenSSL sorts. */
static const int sorting[] = {SCMP_SYS(sysinfo)};

struct group {
	const int *calls;
	size_t n;
};

#define GROUP(name)                    \
	{                              \
		name, ARRAY_SIZE(name) \
	}

static const struct group devices[] = {
	GROUP(core),
	GROUP(event_loop),
	GROUP(unix_sockets),
	GROUP(file_read),
	GROUP(file_write),
};

static const struct group vmm[] = {
	GROUP(core),
	GROUP(event_loop),
	GROUP(unix_sockets),
	GROUP(file_read),
	GROUP(file_write),
	GROUP(narrow),
};

static const struct group vcpu[] = {
	GROUP(vcpu_thread),
};

static const struct group gate[] = {
	GROUP(core),
	GROUP(event_loop),
	GROUP(unix_sockets),
	GROUP(internet),
	GROUP(own_log),
	GROUP(sorting),
};

static const struct group image[] = {
	GROUP(core),
	GROUP(file_data),
};

static const struct group fetch[] = {
	GROUP(core),
	GROUP(event_loop),
	GROUP(unix_sockets),
	GROUP(internet),
	GROUP(file_data),
};

static const struct {
	const struct group *groups;
	size_t n;
	bool one_thread; /* binds the caller only, and has no checked calls */
	bool internet;   /* IPv4 and IPv6 sockets, not only Unix ones */
} profiles[] = {
	[JAIL_DEVICES] = {devices, ARRAY_SIZE(devices), false, false},
	[JAIL_IMAGE] = {image, ARRAY_SIZE(image), false, false},
	[JAIL_FETCH] = {fetch, ARRAY_SIZE(fetch), false, true},
	[JAIL_VMM] = {vmm, ARRAY_SIZE(vmm), false, false},
	[JAIL_VCPU] = {vcpu, ARRAY_SIZE(vcpu), true, false},
	[JAIL_GATE] = {gate, ARRAY_SIZE(gate), false, true},
};

static int allow_groups(scmp_filter_ctx ctx, enum jail_profile p)
{
	for (size_t i = 0; i < profiles[p].n; i++) {
		const struct group *g = &profiles[p].groups[i];

		for (size_t k = 0; k < g->n; k++) {
			int r = seccomp_rule_add(
				ctx, SCMP_ACT_ALLOW, g->calls[k], 0);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Calls that are harmless with some arguments only. */
static int allow_checked(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp no_exec =
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp unix_only = SCMP_A0(SCMP_CMP_EQ, AF_UNIX);
	const struct scmp_arg_cmp set_name = SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME);
	int r = seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);

	r = r ? r
	      : seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
	r = r ? r
	      : seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, unix_only);
	r = r ? r
	      : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
			unix_only);
	/* Threads say what they are. */
	return r ? r
		 : seccomp_rule_add(
			   ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, set_name);
}

/* TCP and UDP over IPv4 and IPv6; no raw and no packet sockets. */
static int allow_internet(scmp_filter_ctx ctx)
{
	static const int families[] = {AF_INET, AF_INET6};
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	const unsigned flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
	int r = 0;

	for (size_t i = 0; i < 4 && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
			SCMP_A0(SCMP_CMP_EQ, (unsigned)families[i / 2]),
			SCMP_A1(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)flags,
				(unsigned)types[i % 2]));
	return r;
}

static int allow_ioctls(
	scmp_filter_ctx ctx, const unsigned long *requests, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_EQ, requests[i]));
	return r;
}

int jail_syscalls(enum jail_profile p, struct err *err)
{
	return jail_syscalls_ioctl(p, NULL, 0, err);
}

int jail_syscalls_ioctl(enum jail_profile p, const unsigned long *requests,
	size_t n, struct err *err)
{
	bool one = profiles[p].one_thread;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	/* Threads that run already are bound as well. */
	r = r ? r : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, !one);
	/* A tree of comparisons instead of a list: half the cost per call. */
	r = r ? r : seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = r ? r : allow_groups(ctx, p);
	r = r || one ? r : allow_checked(ctx);
	r = r || !profiles[p].internet ? r : allow_internet(ctx);
	r = r ? r : allow_ioctls(ctx, requests, n);
	r = r ? r : seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? err_sys(err, -r, "system call filter") : 0;
}
