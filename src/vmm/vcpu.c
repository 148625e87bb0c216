/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/vcpu.h"

#include "vmm/cpuid.h"
#include "vmm/vcpu_regs.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define KICK SIGUSR1
#define KEPT_MAX                                           \
	((PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / \
		sizeof(struct kvm_coalesced_mmio))

static void on_kick(int signo)
{
	/* It only has to interrupt KVM_RUN. */
}

static void tell(struct vcpus *s)
{
	uint64_t one = 1;

	(void)!write(s->event_fd, &one, sizeof(one));
}

/* Every processor leaves KVM_RUN, or does not enter it again. */
static void kick_all(struct vcpus *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct vcpu *v = &s->v[i];
		if (!v->started || !v->run)
			continue;
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(v->thread, KICK);
	}
}

void vcpus_end(struct vcpus *s, enum vm_end end, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&s->lock);
	if (s->end == VM_END_NONE) {
		s->end = end;
		va_start(ap, fmt);
		(void)vsnprintf(s->end_text, sizeof(s->end_text), fmt, ap);
		va_end(ap);
		if (s->want == VCPUS_RUN)
			s->want = VCPUS_PARK;
		kick_all(s);
		tell(s);
	}
	pthread_mutex_unlock(&s->lock);
}

enum vm_end vcpus_ended(struct vcpus *s, char *text, size_t len)
{
	enum vm_end end;

	pthread_mutex_lock(&s->lock);
	end = s->end;
	if (text && len > 0)
		(void)snprintf(text, len, "%s", s->end_text);
	pthread_mutex_unlock(&s->lock);
	return end;
}

/* --- exits ------------------------------------------------------------- */

/*
 * Writes that KVM kept come before whatever this processor left the guest for.
 * The ring is the kernel's: it fills it and moves last, we move first.
 */
static void take_kept(struct vcpu *v)
{
	struct kvm_coalesced_mmio_ring *ring = v->ring;

	if (!ring ||
		ring->first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&v->set->ring_lock);
	while (ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		const struct kvm_coalesced_mmio *w =
			&ring->coalesced_mmio[ring->first % KEPT_MAX];
		bus_write(v->set->pio, w->phys_addr, w->data, w->len);
		__atomic_store_n(&ring->first, (ring->first + 1) % KEPT_MAX,
			__ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&v->set->ring_lock);
}

static void port_exit(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	/* A string instruction comes as one exit with a count. */
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			bus_write(
				v->set->pio, run->io.port, data, run->io.size);
		else
			bus_read(v->set->pio, run->io.port, data, run->io.size);
	}
}

static void memory_exit(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	if (run->mmio.is_write)
		bus_write(v->set->mmio, run->mmio.phys_addr, run->mmio.data,
			run->mmio.len);
	else
		bus_read(v->set->mmio, run->mmio.phys_addr, run->mmio.data,
			run->mmio.len);
}

static uint64_t where(struct vcpu *v)
{
	struct kvm_regs regs = {0};

	(void)ioctl(v->fd, KVM_GET_REGS, &regs);
	return regs.rip;
}

static void system_exit(struct vcpu *v)
{
	struct vcpus *s = v->set;

	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vcpus_end(s, VM_END_OFF, "powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vcpus_end(s, VM_END_RESET, "reset");
		break;
	default:
		vcpus_end(s, VM_END_CRASH, "the guest crashed (event %u)",
			v->run->system_event.type);
		break;
	}
}

static void internal_error(struct vcpu *v)
{
	static const char *const name[] = {[0] = "unknown",
		[KVM_INTERNAL_ERROR_EMULATION] = "emulation failed",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "two exceptions at once",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "event delivery failed",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] =
			"unexpected exit"};
	uint32_t n = v->run->internal.suberror;

	vcpus_end(v->set, VM_END_INTERNAL,
		"KVM internal error %u (%s) on vCPU %u at rip 0x%llx", n,
		n < ARRAY_SIZE(name) && name[n] ? name[n] : "unknown", v->index,
		(unsigned long long)where(v));
}

static void handle_exit(struct vcpu *v)
{
	struct vcpus *s = v->set;
	uint32_t reason = v->run->exit_reason;

	if (reason < VCPU_EXITS)
		__atomic_store_n(&v->exits[reason], v->exits[reason] + 1,
			__ATOMIC_RELAXED);
	switch (reason) {
	case KVM_EXIT_IO:
		port_exit(v);
		break;
	case KVM_EXIT_MMIO:
		memory_exit(v);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN:
		vcpus_end(s, VM_END_CRASH,
			"triple fault on vCPU %u at rip 0x%llx", v->index,
			(unsigned long long)where(v));
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		system_exit(v);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		internal_error(v);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vcpus_end(s, VM_END_INTERNAL,
			"the processor refused the guest's state (0x%llx)",
			v->run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		vcpus_end(s, VM_END_INTERNAL, "unknown KVM exit %u", reason);
		break;
	}
}

/* --- the thread -------------------------------------------------------- */

/*
 * An access that was handled is finished only by the next KVM_RUN; without
 * this a snapshot would lose its result.
 */
static void finish_exit(struct vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	(void)ioctl(v->fd, KVM_RUN, 0);
	take_kept(v);
}

static void run_until_kicked(struct vcpu *v)
{
	for (;;) {
		int r = ioctl(v->fd, KVM_RUN, 0) < 0 ? -errno : 0;
		take_kept(v);
		if (r == -EINTR)
			return;
		if (r == -EAGAIN)
			continue;
		if (r < 0) {
			vcpus_end(v->set, VM_END_INTERNAL,
				"KVM_RUN failed on vCPU %u: %s", v->index,
				strerrorname_np(-r));
			return;
		}
		handle_exit(v);
	}
}

static void park(struct vcpu *v)
{
	struct vcpus *s = v->set;

	if (v->parked)
		return;
	v->parked = true;
	if (++s->n_parked == s->n)
		tell(s);
	pthread_cond_broadcast(&s->changed);
}

static void do_job(struct vcpu *v)
{
	struct vcpus *s = v->set;
	int (*fn)(struct vcpu *, void *) = v->job;
	void *arg = v->job_arg;
	int r;

	pthread_mutex_unlock(&s->lock);
	r = fn(v, arg);
	pthread_mutex_lock(&s->lock);
	v->job_result = r;
	v->job = NULL;
	pthread_cond_broadcast(&s->changed);
}

/* Parks until there is work: true to run, false to end. */
static bool wait_for_work(struct vcpu *v)
{
	struct vcpus *s = v->set;
	bool run;

	pthread_mutex_lock(&s->lock);
	while (s->want == VCPUS_PARK) {
		park(v);
		if (v->job)
			do_job(v);
		else
			pthread_cond_wait(&s->changed, &s->lock);
	}
	run = s->want == VCPUS_RUN;
	if (run && v->parked) {
		v->parked = false;
		s->n_parked--;
	}
	/* Under the lock: a kick that comes later sets it again. */
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&s->lock);
	return run;
}

static int make(struct vcpu *v)
{
	struct vcpus *s = v->set;
	void *run;
	int r = kvm_new_vcpu(s->kvm, v->index, &v->fd, NULL);

	if (r < 0)
		return r;
	run = mmap(NULL, s->kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		v->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	v->run = run;
	if (s->kvm->ring_at)
		v->ring = (void *)((uint8_t *)run + s->kvm->ring_at);
	return regs_cpuid(v->fd, s->cpuid, v->index);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct vcpus *s = v->set;
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "vcpu%u", v->index % VCPU_MAX);
	(void)pthread_setname_np(pthread_self(), name);
	r = make(v);
	if (r < 0) {
		pthread_mutex_lock(&s->lock);
		s->n_failed++;
		v->job_result = r;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
		return NULL;
	}
	while (wait_for_work(v)) {
		run_until_kicked(v);
		finish_exit(v);
	}
	return NULL;
}

/* --- the main thread's side --------------------------------------------- */

static int start_threads(struct vcpus *s, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < s->n; i++) {
		struct vcpu *v = &s->v[i];
		*v = (struct vcpu){.set = s, .index = i, .fd = -1};
		r = -pthread_create(&v->thread, NULL, vcpu_main, v);
		v->started = r == 0;
	}
	if (r < 0)
		return err_sys(err, -r, "cannot start a vCPU's thread");
	pthread_mutex_lock(&s->lock);
	while (s->n_parked < s->n && s->n_failed == 0)
		pthread_cond_wait(&s->changed, &s->lock);
	for (unsigned i = 0; i < s->n && s->n_failed > 0; i++)
		if (s->v[i].job_result < 0)
			r = s->v[i].job_result;
	pthread_mutex_unlock(&s->lock);
	return r < 0 ? err_sys(err, -r, "cannot make a vCPU") : 0;
}

int vcpus_start(struct vcpus *s, struct kvm *k, unsigned n, struct bus *pio,
	struct bus *mmio, struct kvm_cpuid2 *cpuid, struct err *err)
{
	struct sigaction act = {.sa_handler = on_kick};
	int r;

	assert(n >= 1 && n <= VCPU_MAX);
	*s = (struct vcpus){
		.kvm = k, .pio = pio, .mmio = mmio, .n = n, .cpuid = cpuid};
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->ring_lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->v = xcalloc(n, sizeof(*s->v));
	s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->event_fd < 0)
		r = err_sys(err, errno, "cannot make an eventfd");
	else if (sigaction(KICK, &act, NULL) < 0)
		r = err_sys(err, errno, "cannot handle a signal");
	else
		r = start_threads(s, err);
	if (r < 0)
		vcpus_stop(s);
	return r;
}

void vcpus_stop(struct vcpus *s)
{
	if (!s->v)
		return;
	pthread_mutex_lock(&s->lock);
	s->want = VCPUS_QUIT;
	kick_all(s);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->n; i++) {
		struct vcpu *v = &s->v[i];
		if (v->started)
			pthread_join(v->thread, NULL);
		if (v->run)
			munmap(v->run, s->kvm->run_size);
		closep(&v->fd);
	}
	closep(&s->event_fd);
	free(TAKE_PTR(s->v));
	free(TAKE_PTR(s->cpuid));
}

static int boot_job(struct vcpu *v, void *arg)
{
	return regs_boot(v->fd, arg);
}

int vcpus_boot(struct vcpus *s, const struct boot_entry *entry, struct err *err)
{
	struct boot_entry copy = *entry;
	int r = vcpu_call(&s->v[0], boot_job, &copy);

	return r < 0 ? err_sys(err, -r, "cannot set the first registers") : 0;
}

static void want(struct vcpus *s, bool run)
{
	pthread_mutex_lock(&s->lock);
	if (s->want != VCPUS_QUIT && s->end == VM_END_NONE) {
		s->want = run ? VCPUS_RUN : VCPUS_PARK;
		if (!run)
			kick_all(s);
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

void vcpus_resume(struct vcpus *s)
{
	want(s, true);
}

void vcpus_pause(struct vcpus *s)
{
	want(s, false);
}

bool vcpus_parked(struct vcpus *s)
{
	bool parked;

	pthread_mutex_lock(&s->lock);
	parked = s->n_parked == s->n;
	pthread_mutex_unlock(&s->lock);
	return parked;
}

int vcpu_call(struct vcpu *v, int (*fn)(struct vcpu *v, void *arg), void *arg)
{
	struct vcpus *s = v->set;
	int r;

	pthread_mutex_lock(&s->lock);
	assert(v->parked && !v->job);
	v->job_arg = arg;
	v->job = fn;
	pthread_cond_broadcast(&s->changed);
	while (v->job)
		pthread_cond_wait(&s->changed, &s->lock);
	r = v->job_result;
	pthread_mutex_unlock(&s->lock);
	return r;
}

uint64_t vcpus_exits(const struct vcpus *s, unsigned reason)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n && reason < VCPU_EXITS; i++)
		sum += __atomic_load_n(
			&s->v[i].exits[reason], __ATOMIC_RELAXED);
	return sum;
}
