/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/engine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct record_ctx {
	engine_record_fn *fn;
	void *arg;
	enum engine_role role;
};

static int record_role(void *arg, const struct proc_id *id, struct err *err)
{
	struct record_ctx *c = arg;

	return c->fn ? c->fn(c->arg, c->role, id, err) : 0;
}

static void pipes_done(struct engine_pipes *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->devices); i++) {
		closep(&p->devices[i]);
		closep(&p->monitor[i]);
	}
}

static int pipes_init(struct engine_pipes *p, struct err *err)
{
	int sv[2];

	memset(p, 0xff, sizeof(*p)); /* -1: nothing open */
	for (size_t i = 0; i < ARRAY_SIZE(p->devices); i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
			return err_sys(err, errno, "socketpair");
		p->devices[i] = sv[0];
		p->monitor[i] = sv[1];
	}
	return 0;
}

static int devices_spawn(const struct engine_config *cfg,
	const struct engine_pipes *p, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err)
{
	_cleanup_free_ char *log = xasprintf("%s/devices.log", cfg->run_dir);
	_cleanup_(birth_done) struct birth b;
	int r;

	birth_init(&b, cfg);
	birth_fd(&b, BT_FS_SOCKET, p->devices[PIPE_FS]);
	birth_fd(&b, BT_VSOCK_SOCKET, p->devices[PIPE_VSOCK]);
	birth_fd(&b, BT_CONSOLE, p->devices[PIPE_CONSOLE]);
	r = birth_common(&b, cfg, err);
	return r < 0 ? r
		     : birth_spawn(&b, "cove-devices", log, record, arg, ret_id,
			       ret_pidfd, err);
}

/*
 * Nobody waits for anybody: QEMU's ends of the device sockets are connected
 * before either process runs.
 */
static int start_qemu(const struct engine_config *cfg, struct record_ctx *ctx,
	struct engine *e, struct err *err)
{
	_cleanup_(pipes_done) struct engine_pipes p;
	int r = pipes_init(&p, err);

	if (r < 0)
		return r;
	ctx->role = ENGINE_DEVICES;
	r = devices_spawn(cfg, &p, record_role, ctx, &e->id[ENGINE_DEVICES],
		&e->pidfd[ENGINE_DEVICES], err);
	if (r < 0)
		return r;
	ctx->role = ENGINE_MONITOR;
	return qemu_spawn(cfg, p.monitor, record_role, ctx,
		&e->id[ENGINE_MONITOR], &e->pidfd[ENGINE_MONITOR], err);
}

int engine_start(const struct engine_config *cfg, engine_record_fn *record,
	void *arg, struct engine *ret, struct err *err)
{
	struct record_ctx ctx = {
		.fn = record, .arg = arg, .role = ENGINE_MONITOR};
	struct engine e = {.pidfd = {-1, -1}};
	int r;

	if (cfg->kind == ENGINE_VMM)
		r = vmm_spawn(cfg, record_role, &ctx, &e.id[ENGINE_MONITOR],
			&e.pidfd[ENGINE_MONITOR], err);
	else
		r = start_qemu(cfg, &ctx, &e, err);
	if (r < 0) {
		engine_kill(&e);
		engine_close(&e);
		return r;
	}
	*ret = e;
	return 0;
}

int engine_adopt(const struct proc_id id[ENGINE_N_ROLES], struct engine *ret)
{
	struct engine e = {.pidfd = {-1, -1}};
	bool gone = false;

	for (int i = 0; i < ENGINE_N_ROLES; i++) {
		if (id[i].pid <= 0)
			continue;
		e.id[i] = id[i];
		e.pidfd[i] = proc_open(&id[i]);
		if (e.pidfd[i] < 0) {
			e.pidfd[i] = -1;
			gone = true;
		}
	}
	if (gone || e.pidfd[ENGINE_MONITOR] < 0) {
		engine_kill(&e);
		engine_close(&e);
		return -ESRCH;
	}
	*ret = e;
	return 0;
}

static void signal_role(struct engine *e, enum engine_role role, int signo)
{
	if (e->pidfd[role] >= 0)
		(void)proc_signal(e->pidfd[role], signo);
}

void engine_kill(struct engine *e)
{
	signal_role(e, ENGINE_MONITOR, SIGKILL);
	signal_role(e, ENGINE_DEVICES, SIGKILL);
}

void engine_quit(struct engine *e)
{
	signal_role(e, ENGINE_MONITOR, SIGTERM);
}

void engine_close(struct engine *e)
{
	siginfo_t si;

	for (int i = 0; i < ENGINE_N_ROLES; i++) {
		if (e->pidfd[i] < 0)
			continue;
		/* Only a child can be reaped; an adopted one belongs to init. */
		(void)waitid(
			P_PIDFD, (id_t)e->pidfd[i], &si, WEXITED | WNOHANG);
		closep(&e->pidfd[i]);
		e->id[i] = (struct proc_id){0};
	}
}

bool engine_is_open(const struct engine *e)
{
	return e->pidfd[ENGINE_MONITOR] >= 0;
}

uint64_t engine_cpu_ms(const struct engine *e)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long user, sys;
	const char *p;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat",
		(int)e->id[ENGINE_MONITOR].pid);
	if (fd_slurp_at(AT_FDCWD, path, 4096, &text) < 0)
		return 0;
	/* The name in field 2 may hold anything: count from its last ')'. */
	p = strrchr(text, ')');
	if (!p ||
		sscanf(p + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
			" %llu %llu",
			&user, &sys) != 2)
		return 0;
	return (user + sys) * 1000u / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t proc_pss(pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long kib;
	const char *p;
	char path[64];

	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	if (fd_slurp_at(AT_FDCWD, path, 8192, &text) < 0)
		return 0;
	p = strstr(text, "\nPss:");
	return p && sscanf(p + 5, "%llu", &kib) == 1 ? kib * KIB : 0;
}

uint64_t engine_memory(const struct engine *e)
{
	return proc_pss(e->id[ENGINE_MONITOR].pid) +
		proc_pss(e->id[ENGINE_DEVICES].pid);
}
