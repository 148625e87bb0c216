/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine.h"

#include "vmm/confine.h"
#include "vmm/cpuid.h"
#include "vmm/machine_state.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

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
	/* Every driver asks for the status after what it sent. */
	kvm_keep_port(&m->kvm, PORT_UART);
	bus_add(&m->pio, PORT_POWER, POWER_LEN, &power_ops, &m->power);
	bus_add(&m->pio, PORT_PCI, PCI_LEN, &pci_ops, &m->pci);
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

static int open_snapshot(struct machine *m, struct err *err)
{
	struct stat st;
	int r;

	m->snapshot = xnew(struct snapshot);
	r = snapshot_read(m->cfg->state, m->snapshot, err);
	if (r < 0)
		return r;
	/* A page past the end of the file would kill us, not the guest. */
	if (fstat(m->cfg->state_ram, &st) < 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size < m->snapshot->memory)
		return err_set(
			err, EINVAL, "the snapshot's memory file is too short");
	m->cfg->memory = m->snapshot->memory;
	m->cfg->cpus = m->snapshot->cpus;
	return 0;
}

/* All that needs /dev/kvm itself. */
static int open_kvm(struct machine *m, struct err *err)
{
	int r = kvm_open(&m->kvm, TAKE_FD(m->cfg->kvm), err);

	if (r < 0)
		return r;
	r = kvm_supported_cpuid(&m->kvm, &m->cpuid, err);
	if (r == 0 && msr_list_get(m->kvm.dev, &m->msrs) < 0)
		r = err_sys(err, errno, "cannot list the registers");
	kvm_seal(&m->kvm);
	return r;
}

static int read_image(struct machine *m, struct err *err)
{
	int r = ram_open(&m->ram, m->cfg->memory, m->cfg->state_ram, err);

	if (r < 0 || m->snapshot)
		return r;
	r = boot_read(m->cfg->kernel, m->cfg->initrd, &m->ram, &m->image, err);
	closep(&m->cfg->kernel);
	closep(&m->cfg->initrd);
	return r;
}

/* A second thread for as long as KVM makes the machine. */
struct reader {
	pthread_t thread;
	struct machine *m;
	struct err err;
	int r;
};

static void *reader_main(void *arg)
{
	struct reader *rd = arg;

	rd->r = read_image(rd->m, &rd->err);
	return NULL;
}

/*
 * KVM_CREATE_VM sleeps until every processor of the host has been through its
 * scheduler, 10 ms and more: the kernel is read meanwhile. By the new thread,
 * whose turn on a busy host comes later than that of the one that goes on.
 */
static int open_and_read(struct machine *m, struct err *err)
{
	struct reader rd = {.m = m};
	int r;

	if (pthread_create(&rd.thread, NULL, reader_main, &rd) != 0)
		return err_set(err, EAGAIN, "cannot start a thread");
	r = open_kvm(m, err);
	(void)pthread_join(rd.thread, NULL);
	/* Without KVM nothing works: that is what the user is to hear. */
	if (r == 0 && rd.r < 0)
		*err = rd.err;
	return r < 0 ? r : rd.r;
}

int machine_open(struct machine *m, struct loop *l, struct vmm_config *cfg,
	struct err *err)
{
	int r = 0;

	*m = (struct machine){.cfg = cfg,
		.loop = l,
		.uart_irq = -1,
		.kvm = {.dev = -1, .vm = -1}};
	m->calls.fd = -1;
	if (cfg->state >= 0)
		r = open_snapshot(m, err);
	if (r == 0)
		r = open_and_read(m, err);
	if (r == 0)
		r = ram_plug(&m->ram, &m->kvm, err);
	if (r == 0)
		r = open_platform(m, err);
	if (r == 0)
		r = open_calls(m, err);
	if (r < 0)
		machine_done(m);
	return r;
}

int machine_load(struct machine *m, struct err *err)
{
	struct boot_config boot = {.cmdline = m->cfg->cmdline,
		.protocol = m->cfg->boot ? BOOT_PVH : BOOT_LINUX,
		.machine = {.n_cpus = m->cfg->cpus,
			.virtio = m->bank.where,
			.n_virtio = m->bank.n}};

	if (m->snapshot) {
		/* To the bit what the guest found when it started. */
		free(m->cpuid);
		m->cpuid = TAKE_PTR(m->snapshot->cpuid);
		return 0;
	}
	cpuid_template(m->cpuid, m->cfg->cpus);
	return boot_load(&boot, &m->ram, &m->image, &m->entry, err);
}

static void on_cpus(struct loop *l, struct watch *w, uint32_t events)
{
	struct machine *m = container_of(w, struct machine, cpus_watch);
	uint64_t n;

	(void)!read(w->fd, &n, sizeof(n));
	if (vcpus_ended(&m->cpus, NULL, 0) != VM_END_NONE)
		loop_stop(l, 0);
	else if (m->parked && vcpus_parked(&m->cpus))
		m->parked(m);
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

static int first_state(struct machine *m, struct err *err)
{
	int r;

	if (!m->snapshot)
		return vcpus_boot(&m->cpus, &m->entry, err);
	r = machine_restore(m, m->snapshot, err);
	snapshot_done(m->snapshot);
	free(TAKE_PTR(m->snapshot));
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
	r = first_state(m, err);
	if (r == 0)
		r = confine_all(m, err);
	return r < 0 ? r : machine_run(m, err);
}

int machine_run(struct machine *m, struct err *err)
{
	int r = 0;

	for (size_t i = 0; m->quiet && i < m->bank.n && r == 0; i++)
		r = mmio_continue(&m->bank.dev[i]);
	if (r < 0)
		return err_sys(err, -r, "cannot start the devices again");
	m->quiet = false;
	m->paused = false;
	vcpus_resume(&m->cpus);
	return 0;
}

static void disk_stats(const struct devices *d, struct machine_stats *st)
{
	for (size_t i = 0; i < BIRTH_DISKS && d->blk[i]; i++) {
		struct blk_stats b;
		blk_stats(d->blk[i], &b);
		st->disk_read += b.bytes_read;
		st->disk_written += b.bytes_written;
	}
}

void machine_stats(const struct machine *m, struct machine_stats *ret)
{
	struct machine_stats st = {
		.exits_io = vcpus_exits(&m->cpus, KVM_EXIT_IO),
		.exits_mmio = vcpus_exits(&m->cpus, KVM_EXIT_MMIO),
		.unclaimed = m->pio.n_unclaimed + m->mmio.n_unclaimed,
		.console_bytes = m->console.n_total,
		.memory_returned = balloon_reported(m->devices.balloon),
	};

	for (unsigned i = 0; i < VCPU_EXITS; i++)
		st.exits_other += vcpus_exits(&m->cpus, i);
	st.exits_other -= st.exits_io + st.exits_mmio;
	for (size_t i = 0; i < m->bank.n; i++)
		st.refused += m->bank.dev[i].n_refused;
	disk_stats(&m->devices, &st);
	*ret = st;
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
	if (m->snapshot)
		snapshot_done(m->snapshot);
	free(TAKE_PTR(m->snapshot));
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
