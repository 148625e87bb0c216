/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include "vmm/confine.h"
#include "vmm/cpuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

static void on_uart_irq(void *arg)
{
	struct machine *m = arg;
	uint64_t one = 1;

	(void)!write(m->uart_irq, &one, sizeof(one));
}

static void on_power(void *arg, enum power_event event)
{
	struct machine *m = arg;

	if (event == POWER_EVENT_OFF)
		vcpus_end(&m->cpus, VM_END_OFF, "the guest powered off");
	else
		vcpus_end(&m->cpus, VM_END_RESET, "the guest rebooted");
}

static int open_platform(struct machine *m, struct err *err)
{
	int r;

	conlog_init(&m->console, m->cfg->console_log, CONSOLE_LOG_MAX);
	uart_init(&m->uart, &m->console, on_uart_irq, m);
	m->uart_irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->uart_irq < 0)
		return err_sys(err, errno, "cannot make an eventfd");
	r = kvm_irqfd(&m->kvm, GSI_UART, m->uart_irq);
	if (r < 0)
		return err_sys(err, -r, "cannot connect the serial port");
	m->power = (struct power){on_power, m};
	bus_add(&m->pio, PORT_UART, UART_LEN, &uart_ops, &m->uart);
	bus_add(&m->pio, PORT_POWER, POWER_LEN, &power_ops, &m->power);
	return 0;
}

int machine_build(struct machine *m, struct err *err)
{
	int r = mmio_bank_init(
		&m->bank, m->loop, &m->calls, &m->kvm, m->ram.gm, err);

	if (r == 0)
		r = devices_attach(
			&m->devices, m->cfg, &m->bank, &m->mmio, err);
	return r < 0 ? r : mmio_bank_seal(&m->bank, err);
}

static int open_calls(struct machine *m, struct err *err)
{
	int r = calls_init(&m->calls, m->loop);

	return r < 0 ? err_sys(err, -r, "cannot watch an eventfd") : 0;
}

int machine_open(struct machine *m, struct loop *l, struct vmm_config *cfg,
	struct err *err)
{
	int r;

	*m = (struct machine){.cfg = cfg,
		.loop = l,
		.uart_irq = -1,
		.kvm = {.dev = -1, .vm = -1}};
	m->calls.fd = -1;
	r = kvm_open(&m->kvm, dup(cfg->kvm), err);
	if (r == 0)
		r = ram_open(&m->ram, cfg->memory, -1, err);
	if (r == 0)
		r = ram_plug(&m->ram, &m->kvm, err);
	if (r == 0)
		r = kvm_supported_cpuid(&m->kvm, &m->cpuid, err);
	if (r == 0)
		r = open_platform(m, err);
	if (r == 0)
		r = open_calls(m, err);
	if (r == 0)
		kvm_seal(&m->kvm);
	else
		machine_done(m);
	return r;
}

int machine_load(struct machine *m, struct err *err)
{
	struct boot_config boot = {.kernel = m->cfg->kernel,
		.initrd = m->cfg->initrd,
		.cmdline = m->cfg->cmdline,
		.protocol = m->cfg->boot ? BOOT_PVH : BOOT_LINUX,
		.machine = {.n_cpus = m->cfg->cpus,
			.virtio = m->bank.where,
			.n_virtio = m->bank.n}};

	cpuid_template(m->cpuid, m->cfg->cpus);
	return boot_load(&boot, &m->ram, &m->entry, err);
}

static void on_cpus(struct loop *l, struct watch *w, uint32_t events)
{
	struct machine *m = container_of(w, struct machine, cpus_watch);
	uint64_t n;

	(void)!read(w->fd, &n, sizeof(n));
	if (vcpus_ended(&m->cpus, NULL, 0) != VM_END_NONE)
		loop_stop(l, 0);
}

static int confine_job(struct vcpu *v, void *arg)
{
	return confine_vcpu();
}

static int confine_all(struct machine *m, struct err *err)
{
	int r = confine_threads(err);

	for (unsigned i = 0; r == 0 && i < m->cpus.n; i++) {
		r = vcpu_call(&m->cpus.v[i], confine_job, NULL);
		if (r < 0)
			r = err_sys(err, -r, "cannot confine vCPU %u", i);
	}
	return r;
}

int machine_start(struct machine *m, struct err *err)
{
	int r = vcpus_start(&m->cpus, &m->kvm, m->cfg->cpus, &m->pio, &m->mmio,
		TAKE_PTR(m->cpuid), err);

	if (r < 0)
		return r;
	r = loop_watch(
		m->loop, &m->cpus_watch, m->cpus.event_fd, EPOLLIN, on_cpus);
	if (r < 0)
		return err_sys(err, -r, "cannot watch the processors");
	r = vcpus_boot(&m->cpus, &m->entry, err);
	if (r == 0)
		r = confine_all(m, err);
	if (r == 0)
		vcpus_resume(&m->cpus);
	return r;
}

void machine_done(struct machine *m)
{
	/* First: a processor may be waiting for the loop. */
	if (m->calls.fd >= 0)
		calls_close(&m->calls, m->loop);
	loop_unwatch(m->loop, &m->cpus_watch);
	vcpus_stop(&m->cpus);
	conlog_flush(&m->console);
	mmio_bank_done(&m->bank);
	devices_done(&m->devices);
	closep(&m->uart_irq);
	free(TAKE_PTR(m->cpuid));
	kvm_done(&m->kvm);
	ram_done(&m->ram);
}

static const char *kind(enum vm_end end)
{
	static const char *const name[] = {[VM_END_NONE] = "running",
		[VM_END_OFF] = "off",
		[VM_END_RESET] = "reset",
		[VM_END_CRASH] = "crash",
		[VM_END_INTERNAL] = "failed",
		[VM_END_STOPPED] = "stopped"};

	return name[end];
}

enum vm_end machine_reason(struct machine *m, char *buf, size_t len)
{
	char text[256], line[256];
	enum vm_end end = vcpus_ended(&m->cpus, text, sizeof(text));

	conlog_last(&m->console, "Kernel panic", line, sizeof(line));
	/* A kernel that panics resets the machine: say what really was. */
	if (strstr(line, "Kernel panic") &&
		(end == VM_END_RESET || end == VM_END_CRASH)) {
		end = VM_END_CRASH;
		(void)snprintf(text, sizeof(text), "%s", line);
		line[0] = '\0';
	}
	if (end == VM_END_OFF || end == VM_END_STOPPED || !line[0])
		(void)snprintf(buf, len, "%s: %s", kind(end), text);
	else
		(void)snprintf(
			buf, len, "%s: %s; console: %s", kind(end), text, line);
	return end;
}
