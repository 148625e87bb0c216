/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/probe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define RAM_SIZE (64 * KIB)
#define CODE_AT 0x1000u
#define PML4_AT 0x2000u
#define PDPT_AT 0x3000u
#define PD_AT 0x4000u
#define PORT 0x10u
#define STEPS 3u
#define CPUID_MAX 256u

/*
 * Long mode, ring 0, one identity-mapped 2 MiB page. Each step ends in an
 * output of its number to PORT; anything that fails falls to the hlt.
 */
static const uint8_t code[] = {
	0xbf, 0x00, 0x50, 0x00, 0x00, /*     mov $0x5000,%edi */
	0x31, 0xc0,                   /*     xor %eax,%eax */
	0x31, 0xd2,                   /*     xor %edx,%edx */
	0xbb, 0x11, 0x00, 0x00, 0x00, /*     mov $0x11,%ebx */
	0xb9, 0x22, 0x00, 0x00, 0x00, /*     mov $0x22,%ecx */
	0xf0, 0x48, 0x0f, 0xc7, 0x0f, /*     lock cmpxchg16b (%rdi) */
	0x75, 0x2d,                   /*     jne 9f */
	0xb0, 0x01,                   /*     mov $1,%al */
	0xe6, PORT,                   /*     out %al,$PORT */
	0xf3, 0x0f, 0x6f, 0x07,       /*     movdqu (%rdi),%xmm0 */
	0x66, 0x0f, 0xef, 0x47, 0x10, /*     pxor 16(%rdi),%xmm0 */
	0x66, 0x0f, 0xfe, 0x07,       /*     paddd (%rdi),%xmm0 */
	0xf3, 0x0f, 0x7f, 0x47, 0x20, /*     movdqu %xmm0,32(%rdi) */
	0x83, 0x7f, 0x20, 0x22,       /*     cmpl $0x22,32(%rdi) */
	0x75, 0x11,                   /*     jne 9f */
	0xb0, 0x02,                   /*     mov $2,%al */
	0xe6, PORT,                   /*     out %al,$PORT */
	0xb9, 0x40, 0x0d, 0x03, 0x00, /*     mov $200000,%ecx */
	0xff, 0xc9,                   /* 1:  dec %ecx */
	0x75, 0xfc,                   /*     jne 1b */
	0xb0, 0x03,                   /*     mov $3,%al */
	0xe6, PORT,                   /*     out %al,$PORT */
	0xf4,                         /* 9:  hlt */
};

static const char *const step_names[] = {
	"a locked 16-byte exchange",
	"SSE arithmetic",
	"200,000 rounds of a loop",
};

struct probe {
	int dev;
	int vm;
	int vcpu;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_size;
	timer_t timer;
	bool has_timer;
};

/* The one thing the signal handler touches. */
static struct kvm_run *volatile kicked;
static volatile sig_atomic_t struck;

static void on_limit(int signo)
{
	struck = 1;
	if (kicked)
		kicked->immediate_exit = 1;
}

static void probe_done(struct probe *p)
{
	if (p->has_timer)
		(void)timer_delete(p->timer);
	kicked = NULL;
	if (p->run)
		(void)munmap(p->run, p->run_size);
	if (p->ram)
		(void)munmap(p->ram, RAM_SIZE);
	closep(&p->vcpu);
	closep(&p->vm);
	closep(&p->dev);
}

static int open_vm(struct probe *p, const char *dev, struct err *err)
{
	struct kvm_userspace_memory_region slot = {.memory_size = RAM_SIZE};
	int version;

	p->dev = open(dev, O_RDWR | O_CLOEXEC);
	if (p->dev < 0)
		return err_sys(err, errno, "cannot open %s", dev);
	version = ioctl(p->dev, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return err_set(err, ENODEV, "%s is not KVM", dev);
	p->vm = ioctl(p->dev, KVM_CREATE_VM, 0);
	if (p->vm < 0)
		return err_sys(err, errno, "KVM cannot make a machine");
	p->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->ram == MAP_FAILED) {
		p->ram = NULL;
		return err_sys(err, errno, "mmap");
	}
	slot.userspace_addr = (uintptr_t)p->ram;
	if (ioctl(p->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_sys(err, errno, "KVM takes no memory");
	return 0;
}

static int open_vcpu(struct probe *p, struct err *err)
{
	_cleanup_free_ struct kvm_cpuid2 *cpuid = xcalloc(1,
		sizeof(*cpuid) + CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
	int size = ioctl(p->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	p->vcpu = ioctl(p->vm, KVM_CREATE_VCPU, 0);
	if (p->vcpu < 0 || size < (int)sizeof(*p->run))
		return err_sys(err, errno, "KVM cannot make a processor");
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		p->vcpu, 0);
	if (run == MAP_FAILED)
		return err_sys(err, errno, "mmap");
	p->run = run;
	p->run_size = (size_t)size;
	cpuid->nent = CPUID_MAX;
	if (ioctl(p->dev, KVM_GET_SUPPORTED_CPUID, cpuid) < 0 ||
		ioctl(p->vcpu, KVM_SET_CPUID2, cpuid) < 0)
		return err_sys(err, errno, "KVM tells no CPUID");
	return 0;
}

static void put_entry(struct probe *p, uint32_t at, uint64_t value)
{
	memcpy(p->ram + at, &value, sizeof(value));
}

static void fill_ram(struct probe *p)
{
	assert(p->ram);
	memcpy(p->ram + CODE_AT, code, sizeof(code));
	put_entry(p, PML4_AT, PDPT_AT | 0x3); /* present, writable */
	put_entry(p, PDPT_AT, PD_AT | 0x3);
	put_entry(p, PD_AT, 0x83); /* and 2 MiB, at 0 */
}

/* Straight into long mode: nothing of the guest needs a descriptor table. */
static int set_registers(struct probe *p, struct err *err)
{
	const struct kvm_segment seg = {.limit = 0xffffffff,
		.present = 1,
		.s = 1,
		.g = 1,
		.selector = 16,
		.type = 3,
		.db = 1};
	struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2, .rsp = 0x8000};
	struct kvm_sregs s;

	if (ioctl(p->vcpu, KVM_GET_SREGS, &s) < 0)
		return err_sys(err, errno, "KVM tells no registers");
	s.cs = s.ds = s.es = s.fs = s.gs = s.ss = seg;
	s.cs.selector = 8;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	s.cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
	s.cr3 = PML4_AT;
	s.cr4 = 0x620;  /* PAE OSFXSR OSXMMEXCPT */
	s.efer = 0x500; /* LME LMA */
	if (ioctl(p->vcpu, KVM_SET_SREGS, &s) < 0 ||
		ioctl(p->vcpu, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, errno, "KVM refuses long mode");
	return 0;
}

static int set_limit(struct probe *p, struct err *err)
{
	const struct itimerspec limit = {
		.it_value = {.tv_nsec = PROBE_CPU_MS * 1000000L}};
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
	struct sigaction sa = {.sa_handler = on_limit};

	struck = 0;
	kicked = p->run;
	if (sigaction(SIGALRM, &sa, NULL) < 0 ||
		timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &p->timer) < 0)
		return err_sys(err, errno, "no CPU timer");
	p->has_timer = true;
	if (timer_settime(p->timer, 0, &limit, NULL) < 0)
		return err_sys(err, errno, "no CPU timer");
	return 0;
}

/* The step that an exit reports, or 0 when it is no such output. */
static unsigned step_of(const struct kvm_run *run)
{
	const uint8_t *data = (const uint8_t *)run + run->io.data_offset;

	if (run->exit_reason != KVM_EXIT_IO ||
		run->io.direction != KVM_EXIT_IO_OUT || run->io.port != PORT ||
		run->io.size != 1 || run->io.count != 1)
		return 0;
	return *data;
}

static int run_guest(struct probe *p, struct err *err)
{
	assert(p->run);
	for (unsigned step = 1; step <= STEPS; step++) {
		const char *name = step_names[step - 1];
		int r = ioctl(p->vcpu, KVM_RUN, 0);

		if (struck)
			return err_set(err, ETIME,
				"it runs guest kernels too slowly: %s took "
				"more than %d ms of CPU",
				name, PROBE_CPU_MS);
		if (r < 0)
			return err_sys(err, errno, "%s failed", name);
		if (step_of(p->run) != step)
			return err_set(err, EOPNOTSUPP,
				"it cannot run a stock kernel: %s failed "
				"(KVM exit %u)",
				name, p->run->exit_reason);
	}
	return 0;
}

static int try(struct probe *p, const char *dev, struct err *err)
{
	int r = open_vm(p, dev, err);

	if (r == 0)
		r = open_vcpu(p, err);
	if (r < 0)
		return r;
	fill_ram(p);
	r = set_registers(p, err);
	if (r == 0)
		r = set_limit(p, err);
	return r < 0 ? r : run_guest(p, err);
}

static int try_once(const char *dev, struct err *err)
{
	_cleanup_(probe_done) struct probe p = {
		.dev = -1, .vm = -1, .vcpu = -1};

	return try(&p, dev, err);
}

/*
 * On a host that is itself a guest, time that its host takes away counts as
 * our CPU time: slow is what is slow every time. An interpreter always is.
 */
void probe_run(const char *dev, struct probe_result *ret)
{
	uint64_t start = now_ms();
	struct err err = {0};
	int r = try_once(dev, &err);

	for (int i = 1; i < PROBE_TRIES && r == -ETIME; i++) {
		err = (struct err){0};
		r = try_once(dev, &err);
	}
	*ret = (struct probe_result){.usable = r == 0};
	ret->ms = (uint32_t)(now_ms() - start);
	(void)snprintf(ret->why, sizeof(ret->why), "%s",
		ret->usable ? "a tiny guest ran at hardware speed" : err.text);
}

int probe_command(int argc, char **argv)
{
	bool json = argc == 1 && streq(argv[0], "--json");
	struct probe_result r;

	if (argc > 0 && !json) {
		(void)fprintf(stderr, "usage: cove-vmm --probe [--json]\n");
		return 2;
	}
	probe_run("/dev/kvm", &r);
	/* the texts are our own and strerror's: nothing to escape */
	if (json)
		printf("{\"usable\":%s,\"why\":\"%s\",\"ms\":%u}\n",
			r.usable ? "true" : "false", r.why, r.ms);
	else
		printf("%s: %s (%u ms)\n", r.usable ? "usable" : "not usable",
			r.why, r.ms);
	return r.usable ? 0 : 1;
}
