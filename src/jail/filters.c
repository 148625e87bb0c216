/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail-filters - makes the system call filters when Cove is built: prints them
 * as C arrays for syscalls.c. A profile is a list of groups from one table;
 * what is not in it kills the process, so an attacker cannot even try. Made
 * here, they cost a starting role nothing but the system call that sets them.
 */
#include "jail/jail.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
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

/* Running, and what a snapshot reads and a restore writes. */
static const unsigned long vcpu_requests[] = {
	KVM_RUN,
	KVM_GET_REGS,
	KVM_SET_REGS,
	KVM_GET_SREGS,
	KVM_SET_SREGS,
	KVM_GET_MSRS,
	KVM_SET_MSRS,
	KVM_GET_LAPIC,
	KVM_SET_LAPIC,
	KVM_GET_XSAVE,
	KVM_SET_XSAVE,
	KVM_GET_XCRS,
	KVM_SET_XCRS,
	KVM_GET_DEBUGREGS,
	KVM_SET_DEBUGREGS,
	KVM_GET_VCPU_EVENTS,
	KVM_SET_VCPU_EVENTS,
	KVM_GET_MP_STATE,
	KVM_SET_MP_STATE,
	KVM_KVMCLOCK_CTRL,
};
static const unsigned long vm_requests[] = {
	KVM_GET_CLOCK,
	KVM_SET_CLOCK,
	KVM_GET_IRQCHIP,
	KVM_SET_IRQCHIP,
};

struct group {
	const int *calls;
	size_t n;
};

#define PROFILE(name) .groups = name, .n = ARRAY_SIZE(name)
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

static const struct profile {
	const char *name;
	const struct group *groups;
	size_t n;
	bool one_thread; /* binds the caller only, and has no checked calls */
	bool internet;   /* IPv4 and IPv6 sockets, not only Unix ones */
	bool vcpu;       /* runs a processor */
	bool vm;         /* asks for the machine's state */
} profiles[] = {
	{.name = "JAIL_DEVICES", PROFILE(devices)},
	{.name = "JAIL_IMAGE", PROFILE(image)},
	{.name = "JAIL_FETCH", PROFILE(fetch), .internet = true},
	{.name = "JAIL_VMM", PROFILE(vmm), .vcpu = true, .vm = true},
	{.name = "JAIL_VCPU", PROFILE(vcpu), .one_thread = true, .vcpu = true},
	{.name = "JAIL_GATE", PROFILE(gate), .internet = true},
};

static int allow_groups(scmp_filter_ctx ctx, const struct profile *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct group *g = &p->groups[i];

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

static int build(scmp_filter_ctx ctx, const struct profile *p)
{
	/* A tree of comparisons instead of a list: half the cost per call. */
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);

	r = r ? r : allow_groups(ctx, p);
	r = r || p->one_thread ? r : allow_checked(ctx);
	r = r || !p->internet ? r : allow_internet(ctx);
	r = r || !p->vcpu
		? r
		: allow_ioctls(ctx, vcpu_requests, ARRAY_SIZE(vcpu_requests));
	return r || !p->vm
		? r
		: allow_ioctls(ctx, vm_requests, ARRAY_SIZE(vm_requests));
}

/* The program as the kernel takes it; libseccomp writes it to a file. */
static int print(scmp_filter_ctx ctx, const struct profile *p)
{
	struct sock_filter code;
	FILE *f = tmpfile();
	int r = f ? seccomp_export_bpf(ctx, fileno(f)) : -errno;

	if (r == 0) {
		printf("\t[%s] = {.one_thread = %d, FILTER(", p->name,
			p->one_thread);
		rewind(f);
		while (fread(&code, sizeof(code), 1, f) == 1)
			printf("{0x%x,%u,%u,0x%x},", code.code, code.jt,
				code.jf, code.k);
		printf(")},\n");
	}
	if (f)
		(void)fclose(f);
	return r;
}

int main(void)
{
	int r = 0;

	/* What this kernel can do does not matter to the next one. */
	(void)seccomp_api_set(3);
	printf("/* made by src/jail/filters.c */\n");
	for (size_t i = 0; i < ARRAY_SIZE(profiles) && r == 0; i++) {
		scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

		r = ctx ? build(ctx, &profiles[i]) : -ENOMEM;
		r = r ? r : print(ctx, &profiles[i]);
		seccomp_release(ctx);
	}
	if (r < 0)
		fprintf(stderr, "jail-filters: %s\n", strerror(-r));
	return r < 0;
}
