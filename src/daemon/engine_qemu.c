/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The QEMU monitor: machine type microvm, virtio-mmio, no firmware beyond
 * qboot, no network card. Everything it needs is handed over as open
 * descriptors: files by number, device back ends as connected sockets.
 */
#include "daemon/engine_internal.h"

#include "daemon/cmdline.h"

#include "wire/agent.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <x86intrin.h>

#define QEMU_PATH "/usr/bin/qemu-system-x86_64"

/*
 * Fast string instructions are the slowest way to copy there is when each byte
 * of a rep movsb is emulated: without them the kernel takes a tenth fewer
 * instructions to init, and programs copy and clear with plain moves.
 */
#define CPU_TCG "max,-erms,-fsrm"
/*
 * What QEMU translates lies in a buffer that is emptied when it is full. A boot
 * fills 70 MiB, Docker's start and first container 270: with 256 everything was
 * translated again in the midst of that. It takes memory as it fills.
 */
#define ACCEL_TCG "tcg,tb-size=512"

/* Descriptor numbers inside the monitor. */
enum {
	FD_KERNEL = 3,
	FD_INITRD,
	FD_ROOT,
	FD_DISK,
	FD_DOCKER,
	FD_FS,
	FD_VSOCK,
	FD_CONSOLE,
	FD_END,
};

#define ARGV_MAX 96

struct argv {
	char *v[ARGV_MAX];
	size_t n;
};

static void argv_done(struct argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
}

static void argv_add(struct argv *a, char *owned)
{
	assert(a->n + 1 < ARGV_MAX);
	a->v[a->n++] = owned;
	a->v[a->n] = NULL;
}

static void argv_pair(struct argv *a, const char *opt, char *owned)
{
	argv_add(a, xstrdup(opt));
	argv_add(a, owned);
}

uint64_t engine_tsc_khz(void)
{
	static uint64_t khz;
	struct timespec t0, t1;
	uint64_t c0, c1, ns;

	if (khz)
		return khz;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	c0 = __rdtsc();
	do {
		clock_gettime(CLOCK_MONOTONIC, &t1);
		c1 = __rdtsc();
		ns = (uint64_t)(t1.tv_sec - t0.tv_sec) * 1000000000u +
			(uint64_t)t1.tv_nsec - (uint64_t)t0.tv_nsec;
	} while (ns < 5000000);
	khz = (c1 - c0) * 1000000u / ns;
	return khz;
}

/*
 * noreplace-smp: a kernel with one processor takes the lock prefixes out of
 * itself, at 9,000 places one by one, each with a flush of the TLB: under TCG
 * that is a tenth of a boot.
 *
 * Without firmware clocks the kernel would calibrate the TSC against a PIT
 * that a busy host serves late, and then hang: under TCG it is told.
 *
 * norandmaps: QEMU translates code per virtual address, so with randomised
 * addresses every process start translates its libraries anew, which makes it
 * 2.5 times as dear. Inside, `sysctl kernel.randomize_va_space=2` turns them on.
 * Retpolines guard against nothing here.
 */
static char *kernel_cmdline(const struct engine_config *cfg)
{
	if (cfg->accel == ENGINE_KVM)
		return xstrdup("reboot=t " CMDLINE_COMMON);
	return xasprintf("reboot=t tsc_early_khz=%llu tsc=reliable "
			 "no_timer_check norandmaps mitigations=off "
			 "noreplace-smp " CMDLINE_COMMON,
		(unsigned long long)engine_tsc_khz());
}

static void argv_machine(struct argv *a, const struct engine_config *cfg)
{
	bool kvm = cfg->accel == ENGINE_KVM;
	unsigned long long mib = cfg->memory / MIB;

	argv_add(a, xstrdup("qemu-system-x86_64"));
	argv_pair(
		a, "-name", xasprintf("cove-%s,process=cove-qemu", cfg->name));
	argv_pair(a, "-M",
		xstrdup("microvm,pit=off,pic=off,rtc=on,x-option-roms=off,"
			"auto-kernel-cmdline=off,memory-backend=mem"));
	argv_pair(a, "-accel", xstrdup(kvm ? "kvm" : ACCEL_TCG));
	argv_pair(a, "-cpu", xstrdup(kvm ? "host" : CPU_TCG));
	argv_pair(a, "-smp", xasprintf("%u", cfg->cpus));
	argv_pair(a, "-m", xasprintf("%lluM", mib));
	argv_pair(a, "-object",
		xasprintf("memory-backend-memfd,id=mem,size=%lluM,share=on",
			mib));
	argv_add(a, xstrdup("-nodefaults"));
	argv_add(a, xstrdup("-no-user-config"));
	argv_add(a, xstrdup("-no-reboot"));
	argv_pair(a, "-display", xstrdup("none"));
	argv_pair(a, "-sandbox",
		xstrdup("on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
			"resourcecontrol=deny"));
	argv_pair(a, "-global", xstrdup("virtio-mmio.force-legacy=false"));
	argv_pair(a, "-kernel", xasprintf("/proc/self/fd/%d", FD_KERNEL));
	argv_pair(a, "-initrd", xasprintf("/proc/self/fd/%d", FD_INITRD));
	argv_pair(a, "-append", kernel_cmdline(cfg));
}

/* Raw always: a guest can write headers, so none is ever looked for. */
static void argv_disk(struct argv *a, int fd, const char *serial, bool ro)
{
	argv_pair(a, "-add-fd", xasprintf("fd=%d,set=%d", fd, fd));
	argv_pair(a, "-blockdev",
		xasprintf("driver=raw,node-name=%s,read-only=%s,%s"
			  "file.driver=file,file.locking=off,"
			  "file.filename=/dev/fdset/%d",
			serial, ro ? "on" : "off", ro ? "" : "discard=unmap,",
			fd));
	argv_pair(a, "-device",
		xasprintf("virtio-blk-device,drive=%s,serial=%s", serial,
			serial));
}

static void argv_devices(struct argv *a)
{
	argv_pair(a, "-chardev", xasprintf("socket,id=con,fd=%d", FD_CONSOLE));
	argv_pair(a, "-serial", xstrdup("chardev:con"));
	argv_disk(a, FD_ROOT, DISK_ROOT, true);
	argv_disk(a, FD_DISK, DISK_UPPER, false);
	argv_disk(a, FD_DOCKER, DISK_DOCKER, false);
	argv_pair(a, "-chardev", xasprintf("socket,id=fs,fd=%d", FD_FS));
	argv_pair(a, "-device",
		xstrdup("vhost-user-fs-device,chardev=fs,tag=" SHARE_TAG
			",queue-size=1024"));
	argv_pair(a, "-chardev", xasprintf("socket,id=vs,fd=%d", FD_VSOCK));
	argv_pair(a, "-device", xstrdup("vhost-user-vsock-device,chardev=vs"));
	argv_pair(a, "-object",
		xstrdup("rng-random,id=rng,filename=/dev/urandom"));
	argv_pair(a, "-device", xstrdup("virtio-rng-device,rng=rng"));
	argv_pair(a, "-device",
		xstrdup("virtio-balloon-device,free-page-reporting=on,"
			"deflate-on-oom=on"));
}

static int hand_over(
	struct spawn *sp, const char *path, int flags, int to, struct err *err)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	sp->fds[sp->n_fds] = fd;
	sp->to[sp->n_fds++] = to;
	return 0;
}

static void lend(struct spawn *sp, int fd, int to)
{
	sp->fds[sp->n_fds] = fd;
	sp->to[sp->n_fds++] = to;
}

/* The first five are opened here and are ours; the sockets are borrowed. */
static int open_files(
	struct spawn *sp, const struct engine_config *cfg, struct err *err)
{
	int r = hand_over(sp, cfg->vmlinux, O_RDONLY, FD_KERNEL, err);

	r = r ? r : hand_over(sp, cfg->initrd, O_RDONLY, FD_INITRD, err);
	r = r ? r : hand_over(sp, cfg->root, O_RDONLY, FD_ROOT, err);
	r = r ? r : hand_over(sp, cfg->disk, O_RDWR, FD_DISK, err);
	return r ? r : hand_over(sp, cfg->docker_disk, O_RDWR, FD_DOCKER, err);
}

static int open_log(const struct engine_config *cfg, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/engine.log", cfg->run_dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "create %s", path) : fd;
}

int qemu_spawn(const struct engine_config *cfg, const int monitor[3],
	spawn_record_fn *record, void *arg, struct proc_id *ret_id,
	int *ret_pidfd, struct err *err)
{
	_cleanup_(argv_done) struct argv argv = {0};
	struct spawn sp = {.path = QEMU_PATH, .stdin_fd = -1, .stdout_fd = -1};
	_cleanup_close_ int log_fd = open_log(cfg, err);
	size_t n_files;
	int r;

	if (log_fd < 0)
		return log_fd;
	sp.stderr_fd = log_fd;
	r = open_files(&sp, cfg, err);
	n_files = sp.n_fds;
	if (r == 0) {
		argv_machine(&argv, cfg);
		argv_devices(&argv);
		lend(&sp, monitor[PIPE_FS], FD_FS);
		lend(&sp, monitor[PIPE_VSOCK], FD_VSOCK);
		lend(&sp, monitor[PIPE_CONSOLE], FD_CONSOLE);
		sp.argv = (const char *const *)argv.v;
		r = spawn_child(&sp, record, arg, ret_id, ret_pidfd, err);
	}
	for (size_t i = 0; i < n_files; i++)
		close(sp.fds[i]);
	return r;
}
