/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of a sandbox: run directory, processes, the watchdog until the
 * guest is ready, and what happens when the processes end.
 */
#include "daemon/sandbox.h"

#include "daemon/cache.h"
#include "daemon/console.h"
#include "daemon/control.h"
#include "daemon/gate.h"
#include "daemon/ssh.h"

#include "base/fd.h"
#include "base/log.h"
#include "wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/*
 * A boot is bounded by what the engine computes, not by the clock: on a loaded
 * host a boot takes long and is well. A stock kernel needs about 2 CPU-seconds
 * under emulation; a hang burns CPU without end or burns none at all.
 */
#define STATUS_MAX 512u /* of the line in engine.status */
#define BOOT_LOOK_MS 1000u
#define BOOT_CPU_MS 45000u
#define BOOT_IDLE_MS 30000u
#define BOOT_WALL_MS 600000u
#define BOOT_BLIND_MS 120000u /* when the CPU time cannot be read */
#define ACCEPT_BATCH 8u

static const char *role_name(enum engine_role role)
{
	return role == ENGINE_MONITOR ? "engine" : "devices";
}

static int record(void *arg, enum engine_role role, const struct proc_id *id,
	struct err *err)
{
	struct sandbox *sb = arg;

	return store_proc_put(
		sb->d->store, sb->row.id, role_name(role), id, err);
}

static void on_guest_dials(struct loop *l, struct watch *w, uint32_t events)
{
	struct sandbox *sb = container_of(w, struct sandbox, ctl_listen);
	int fd;

	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		control_accept(sb, fd);
	}
}

static void stop_listening(struct sandbox *sb)
{
	loop_unwatch(&sb->d->loop, &sb->ctl_listen);
	closep(&sb->ctl_listen.fd);
	ssh_close(sb);
}

int sandbox_listen(struct sandbox *sb, struct err *err)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	_cleanup_close_ int dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32];
	int fd, r;

	if (dir < 0)
		return err_sys(err, errno, "%s", run);
	stop_listening(sb);
	(void)snprintf(name, sizeof(name), "vsock.sock_%u", PORT_CONTROL);
	(void)unlinkat(dir, name, 0);
	fd = sock_listen_at(dir, name, 0600);
	if (fd < 0)
		return err_sys(err, -fd, "listen on %s/%s", run, name);
	r = fd_nonblock(fd, true);
	if (r == 0)
		r = loop_watch(&sb->d->loop, &sb->ctl_listen, fd, EPOLLIN,
			on_guest_dials);
	if (r < 0) {
		closep(&fd);
		return err_sys(err, -r, "listen on %s/%s", run, name);
	}
	return ssh_open(sb, err);
}

/* An empty directory of its own for this run. */
static int make_run_dir(struct sandbox *sb, struct err *err)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	int r = remove_tree(run, err);

	return r < 0 ? r : paths_make(run, err);
}

static int choose_engine(
	struct sandbox *sb, struct engine_choice *ret, struct err *err)
{
	struct engine_choice c = {0};
	json_t *j;
	int r = sb->d->backend->choose(sb->spec.engine, &c, err);

	if (r < 0)
		return r;
	j = json_pack("{s:s, s:s, s:s, s:o}", "name", c.name, "accel",
		c.accel == ENGINE_KVM ? "kvm" : "tcg", "isolation", c.isolation,
		"why", json_text(c.why));
	free(sb->row.engine);
	sb->row.engine = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	*ret = c;
	return 0;
}

static void close_exports(struct engine_config *cfg)
{
	for (size_t i = 0; i < cfg->n_exports; i++)
		closep(&cfg->exports[i].fd);
}

static int open_exports(
	struct sandbox *sb, struct engine_config *cfg, struct err *err)
{
	int r;

	for (size_t i = 0; i < sb->spec.n_workspaces; i++) {
		r = workspace_open(&sb->spec.workspaces[i], &cfg->exports[i].fd,
			&cfg->exports[i].flags, err);
		if (r < 0)
			return r;
		cfg->n_exports++;
	}
	return 0;
}

/* What the engine opens; the paths live until it was started. */
struct parts {
	struct template t;
	struct kernel k;
	char *run;
	char *disk;
	char *docker;
};

static void parts_done(struct parts *p)
{
	template_done(&p->t);
	kernel_done(&p->k);
	free(p->run);
	free(p->disk);
	free(p->docker);
}

static int find_parts(struct sandbox *sb, struct parts *p, struct err *err)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	int r;

	r = cache_template_open(&sb->d->paths, sb->row.digest, &p->t, err);
	if (r < 0)
		return r;
	r = cache_kernel(&sb->d->paths, &p->k, err);
	if (r <= 0)
		return r < 0 ? r : err_set(err, ENOENT, "no guest kernel");
	p->run = sandbox_run_dir(sb);
	p->disk = xasprintf("%s/disk.img", dir);
	p->docker = xasprintf("%s/docker.img", dir);
	if (access(p->disk, R_OK | W_OK) < 0 ||
		access(p->docker, R_OK | W_OK) < 0)
		return err_sys(
			err, errno, "a disk of '%s' in %s", sb->row.name, dir);
	template_done(&sb->template);
	return 0;
}

static int start_engine(
	struct sandbox *sb, const struct engine_choice *choice, struct err *err)
{
	_cleanup_(parts_done) struct parts p = {0};
	_cleanup_(close_exports) struct engine_config cfg = {
		.name = sb->row.name,
		.kind = choice->kind,
		.accel = choice->accel,
		.cpus = sb->spec.cpus,
		.memory = sb->spec.memory,
	};
	int r = find_parts(sb, &p, err);

	if (r == 0)
		r = open_exports(sb, &cfg, err);
	if (r < 0)
		return r;
	cfg.run_dir = p.run;
	cfg.vmlinux = p.k.vmlinux;
	cfg.initrd = p.k.initrd;
	cfg.root = p.t.root;
	cfg.disk = p.disk;
	cfg.docker_disk = p.docker;
	return sb->d->backend->start(&cfg, record, sb, &sb->engine, err);
}

void sandbox_add_console(struct sandbox *sb, struct err *err)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	char tail[300];
	size_t n = strlen(err->text);

	console_tail(run, 4, tail, sizeof(tail));
	if (tail[0])
		(void)snprintf(err->text + n, sizeof(err->text) - n,
			"; last on the console: %s", tail);
}

static void boot_hung(struct sandbox *sb, const char *how)
{
	struct err err = {0};

	(void)err_set(
		&err, ETIMEDOUT, "the guest hung while starting (%s)", how);
	sandbox_add_console(sb, &err);
	if (sb->boot_retried) {
		sandbox_fail(sb, &err);
		return;
	}
	sb->boot_retried = true;
	sb->boot_again = true;
	sandbox_event(sb, "boot.retry", err.text);
	sandbox_progress(sb, "boot", "the guest hung; starting it once more");
	sandbox_end_engine(sb);
}

static void on_boot_look(struct loop *l, struct timer *t)
{
	struct sandbox *sb = container_of(t, struct sandbox, boot);
	uint64_t now = now_ms();
	uint64_t cpu = sb->d->backend->cpu_ms(&sb->engine);
	uint64_t wall = now - sb->boot_begin_ms;
	char how[80];

	if (cpu > sb->boot_cpu_ms) {
		sb->boot_cpu_ms = cpu;
		sb->boot_cpu_at_ms = now;
	}
	if (cpu > (uint64_t)BOOT_CPU_MS * sb->spec.cpus)
		(void)snprintf(how, sizeof(how), "used %llu s of CPU",
			(unsigned long long)(cpu / 1000));
	else if (cpu > 0 && now - sb->boot_cpu_at_ms > BOOT_IDLE_MS)
		(void)snprintf(
			how, sizeof(how), "idle for %u s", BOOT_IDLE_MS / 1000);
	else if (wall > (cpu > 0 ? BOOT_WALL_MS : BOOT_BLIND_MS))
		(void)snprintf(how, sizeof(how), "no answer in %llu s",
			(unsigned long long)(wall / 1000));
	else
		how[0] = '\0';
	if (how[0])
		boot_hung(sb, how);
	else
		loop_timer(l, t, BOOT_LOOK_MS, on_boot_look);
}

void sandbox_boot(struct sandbox *sb)
{
	struct loop *l = &sb->d->loop;
	struct engine_choice choice = {0};
	struct err err = {0};
	int r;

	sb->powered_off = false;
	sb->why_ended[0] = '\0';
	sandbox_progress(sb, "boot", "starting the virtual machine");
	r = choose_engine(sb, &choice, &err);
	if (r == 0)
		r = make_run_dir(sb, &err);
	if (r == 0)
		r = sandbox_listen(sb, &err);
	if (r == 0) {
		sb->row.started_ns = now_real_ns();
		r = sandbox_set_state(sb, SB_STARTING, "", &err);
	}
	if (r == 0 && sb->d->backend->gate)
		r = gate_start(sb, &err);
	if (r == 0)
		r = start_engine(sb, &choice, &err);
	if (r == 0)
		r = sandbox_watch_engine(sb, &err);
	if (r < 0) {
		stop_listening(sb);
		gate_stop(sb);
		(void)store_proc_clear(sb->d->store, sb->row.id, NULL);
		sandbox_fail(sb, &err);
		return;
	}
	sb->boot_begin_ms = sb->boot_cpu_at_ms = now_ms();
	sb->boot_cpu_ms = 0;
	loop_timer(l, &sb->boot, BOOT_LOOK_MS, on_boot_look);
}

void sandbox_ready(struct sandbox *sb)
{
	bool fresh = sb->row.fresh;
	struct err err = {0};

	loop_untimer(&sb->d->loop, &sb->boot);
	sb->row.fresh = false;
	/* A sandbox that is not on record must not run. */
	if (sandbox_set_state(sb, SB_RUNNING, "", &err) < 0) {
		sb->row.fresh = fresh;
		sandbox_fail(sb, &err);
		return;
	}
	sandbox_event(sb, "running",
		sb->boot_retried ? "the guest is ready, at the second attempt"
				 : "the guest is ready");
	sandbox_watch_life(sb);
}

void sandbox_end_engine(struct sandbox *sb)
{
	if (sb->d->backend->is_open(&sb->engine))
		sb->d->backend->kill(&sb->engine);
}

/* How a process ended, when it was our child. Reaped by engine_close(). */
static void note_end(struct sandbox *sb, enum engine_role role)
{
	char *to = sb->why_ended;
	size_t size = sizeof(sb->why_ended);
	const char *name = role_name(role);
	siginfo_t si = {0};

	if (waitid(P_PIDFD, (id_t)sb->engine.pidfd[role], &si,
		    WEXITED | WNOHANG | WNOWAIT) < 0 ||
		si.si_pid == 0)
		(void)snprintf(to, size, "its %s process ended", name);
	else if (si.si_code == CLD_EXITED)
		(void)snprintf(to, size, "its %s process ended with status %d",
			name, si.si_status);
	else
		(void)snprintf(to, size,
			"its %s process was killed by signal %d", name,
			si.si_status);
}

static bool has_ended(const struct sandbox *sb, enum engine_role role)
{
	struct pollfd p = {.fd = sb->engine.pidfd[role], .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* cove-vmm says in one line how its guest ended; QEMU says nothing. */
static bool note_status(struct sandbox *sb)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	_cleanup_free_ char *path = xasprintf("%s/engine.status", run);
	_cleanup_free_ char *text = NULL;

	if (fd_slurp_at(AT_FDCWD, path, STATUS_MAX, &text) <= 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	sb->powered_off = sb->powered_off || strncmp(text, "off:", 4) == 0;
	(void)snprintf(sb->why_ended, sizeof(sb->why_ended),
		"the virtual machine ended: %s", text);
	return true;
}

/* The monitor's end is the cause of the other's, if both are gone. */
static void note_cause(struct sandbox *sb)
{
	if (sb->why_ended[0] || note_status(sb))
		return;
	note_end(sb,
		has_ended(sb, ENGINE_MONITOR) ? ENGINE_MONITOR
					      : ENGINE_DEVICES);
}

/* What the guest's kernel said last, before the machine went away. */
static void note_console(struct sandbox *sb)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	char line[160];

	console_find(run, "reboot: ", line, sizeof(line));
	sb->powered_off = sb->powered_off || line[0];
	console_find(run, "Kernel panic - ", line, sizeof(line));
	if (!line[0])
		return;
	sb->powered_off = false;
	(void)snprintf(sb->why_ended, sizeof(sb->why_ended),
		"the guest's kernel stopped: %s", line);
	sandbox_event(sb, "panic", line);
}

static void devices_late(struct loop *l, struct timer *t)
{
	sandbox_end_engine(container_of(t, struct sandbox, devices));
}

/*
 * One without the other is no engine. But what the guest said last may still
 * lie in the console's socket: a device server without its monitor writes that
 * down and ends by itself, and is only ended if it does not.
 */
static void end_the_other(struct sandbox *sb, enum engine_role gone)
{
	struct daemon *d = sb->d;

	if (gone == ENGINE_MONITOR && sb->state != SB_STOPPING)
		loop_timer(&d->loop, &sb->devices, d->devices_ms, devices_late);
	else
		sandbox_end_engine(sb);
}

static void on_ended(struct sandbox *sb, enum engine_role role)
{
	struct loop *l = &sb->d->loop;
	struct err err = {0};

	loop_unwatch(l, &sb->ended[role]);
	note_cause(sb);
	for (size_t i = 0; i < ENGINE_N_ROLES; i++) {
		if (!sb->ended[i].active)
			continue;
		end_the_other(sb, role);
		return;
	}
	loop_untimer(l, &sb->devices);
	stop_listening(sb);
	if (sb->state != SB_STOPPING)
		note_console(sb);
	log_info("engine gone sandbox=%s: %s", sb->row.name, sb->why_ended);
	sb->d->backend->close(&sb->engine);
	gate_stop(sb);
	if (store_proc_clear(sb->d->store, sb->row.id, &err) < 0)
		log_error("sandbox=%s: %s", sb->row.name, err.text);
	sandbox_engine_gone(sb);
}

static void on_monitor_ended(struct loop *l, struct watch *w, uint32_t events)
{
	on_ended(container_of(w, struct sandbox, ended[ENGINE_MONITOR]),
		ENGINE_MONITOR);
}

static void on_devices_ended(struct loop *l, struct watch *w, uint32_t events)
{
	on_ended(container_of(w, struct sandbox, ended[ENGINE_DEVICES]),
		ENGINE_DEVICES);
}

int sandbox_watch_engine(struct sandbox *sb, struct err *err)
{
	static watch_fn *const fns[ENGINE_N_ROLES] = {
		[ENGINE_MONITOR] = on_monitor_ended,
		[ENGINE_DEVICES] = on_devices_ended,
	};
	int r;

	for (size_t i = 0; i < ENGINE_N_ROLES; i++) {
		if (sb->engine.pidfd[i] < 0)
			continue;
		r = loop_watch(&sb->d->loop, &sb->ended[i], sb->engine.pidfd[i],
			EPOLLIN, fns[i]);
		if (r < 0)
			return err_sys(err, -r, "watch the engine");
	}
	return 0;
}
