/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine_state.h"

#include "vmm/ram_file.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* --- saving ----------------------------------------------------------------- */

struct get_job {
	const struct msr_list *msrs;
	struct vcpu_state *to;
};

static int get_job(struct vcpu *v, void *arg)
{
	const struct get_job *job = arg;

	return vcpu_state_get(v->fd, job->msrs, job->to);
}

static int save_cpus(struct machine *m, struct snapshot *s, struct err *err)
{
	size_t len = sizeof(*m->cpus.cpuid) +
		m->cpus.cpuid->nent * sizeof(m->cpus.cpuid->entries[0]);

	s->cpus = m->cpus.n;
	s->vcpu = xcalloc(s->cpus, sizeof(*s->vcpu));
	s->cpuid = xcalloc(1, len);
	memcpy(s->cpuid, m->cpus.cpuid, len);
	for (uint32_t i = 0; i < s->cpus; i++) {
		struct get_job job = {&m->msrs, &s->vcpu[i]};
		int r = vcpu_call(&m->cpus.v[i], get_job, &job);
		if (r < 0)
			return err_sys(err, -r, "cannot read vCPU %u", i);
	}
	return 0;
}

static int save_platform(struct machine *m, struct snapshot *s, struct err *err)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(s->irqchip); i++) {
		s->irqchip[i].chip_id = i;
		if (ioctl(m->kvm.vm, KVM_GET_IRQCHIP, &s->irqchip[i]) < 0)
			return err_sys(err, errno,
				"cannot read an interrupt controller");
	}
	if (ioctl(m->kvm.vm, KVM_GET_CLOCK, &s->clock) < 0)
		return err_sys(err, errno, "cannot read the clock");
	s->uart = m->uart.s;
	s->memory = m->ram.size;
	return 0;
}

/* In-flight requests end here: a queue that is stopped has none. */
static int save_devices(struct machine *m, struct snapshot *s, struct err *err)
{
	int r = 0;

	m->quiet = true; /* until machine_run() */
	s->n_devices = m->bank.n;
	for (size_t i = 0; i < m->bank.n; i++) {
		s->device[i].id = m->bank.dev[i].dev->ops->id;
		mmio_save(&m->bank.dev[i], &s->device[i].mmio);
	}
	for (size_t i = 0; i < m->bank.n && r == 0; i++)
		r = devices_save(&m->devices, &s->device[i], err);
	return r;
}

int machine_save(struct machine *m, int state, int memory, struct err *err)
{
	_cleanup_free_ struct snapshot *s = xnew(struct snapshot);
	int r;

	/* Devices first: they still write to memory and raise interrupts. */
	r = save_devices(m, s, err);
	if (r == 0)
		r = save_cpus(m, s, err);
	if (r == 0)
		r = save_platform(m, s, err);
	if (r == 0)
		r = ram_write(&m->ram, memory, err);
	if (r == 0)
		r = snapshot_write(s, state, err);
	snapshot_done(s);
	return r;
}

/* --- restoring --------------------------------------------------------------- */

static int set_job(struct vcpu *v, void *arg)
{
	const struct vcpu_state *state = arg;

	return vcpu_state_set(v->fd, &state[v->index]);
}

static int restore_platform(
	struct machine *m, const struct snapshot *s, struct err *err)
{
	struct kvm_clock_data clock = {.clock = s->clock.clock};

	for (uint32_t i = 0; i < ARRAY_SIZE(s->irqchip); i++) {
		struct kvm_irqchip chip = s->irqchip[i];
		chip.chip_id = i;
		if (ioctl(m->kvm.vm, KVM_SET_IRQCHIP, &chip) < 0)
			return err_sys(err, errno,
				"cannot set an interrupt controller");
	}
	/* Before any processor runs; guest time goes on where it stopped. */
	if (ioctl(m->kvm.vm, KVM_SET_CLOCK, &clock) < 0)
		return err_sys(err, errno, "cannot set the clock");
	return 0;
}

static int restore_devices(
	struct machine *m, const struct snapshot *s, struct err *err)
{
	int r;

	if (s->n_devices != m->bank.n)
		return err_set(err, EINVAL,
			"the snapshot has other devices than this sandbox");
	for (size_t i = 0; i < m->bank.n; i++)
		if (s->device[i].id != m->bank.dev[i].dev->ops->id)
			return err_set(err, EINVAL,
				"device %zu of the snapshot is another", i);
	for (size_t i = 0; i < m->bank.n; i++) {
		r = devices_restore(&m->devices, &s->device[i], err);
		if (r < 0)
			return r;
		r = mmio_restore(&m->bank.dev[i], &s->device[i].mmio);
		if (r < 0)
			return err_sys(err, -r, "cannot restore device %zu", i);
	}
	return 0;
}

int machine_restore(
	struct machine *m, const struct snapshot *s, struct err *err)
{
	int r = restore_platform(m, s, err);

	for (uint32_t i = 0; r == 0 && i < m->cpus.n; i++) {
		r = vcpu_call(&m->cpus.v[i], set_job, s->vcpu);
		if (r < 0)
			r = err_sys(err, -r, "cannot restore vCPU %u", i);
	}
	if (r == 0)
		r = restore_devices(m, s, err);
	if (r == 0)
		uart_restore(&m->uart, &s->uart);
	if (r == 0)
		devices_restored(&m->devices);
	return r;
}
