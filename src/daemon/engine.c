/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/engine_internal.h"

#include "base/paths.h"
#include "wire/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GUEST_UID 1000u
#define PROBE_WAIT_MS 5000

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

/* What the device server is told at birth, and the descriptors beside it. */
struct birth {
	struct buf msg;
	int fds[FD_PASS_MAX];
	size_t n_fds;
	int own[3]; /* run dir, vsock.sock, console log: closed here */
};

static void birth_done(struct birth *b)
{
	buf_done(&b->msg);
	for (size_t i = 0; i < ARRAY_SIZE(b->own); i++)
		closep(&b->own[i]);
}

static void birth_fd(struct birth *b, uint16_t tag, int fd)
{
	tlv_put_u32(&b->msg, tag, (uint32_t)b->n_fds);
	b->fds[b->n_fds++] = fd;
}

static int birth_files(struct birth *b, const char *run_dir, struct err *err)
{
	b->own[0] = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->own[0] < 0)
		return err_sys(err, errno, "open %s", run_dir);
	(void)unlinkat(b->own[0], "vsock.sock", 0);
	b->own[1] = sock_listen_at(b->own[0], "vsock.sock", 0600);
	if (b->own[1] < 0)
		return err_sys(
			err, -b->own[1], "listen on %s/vsock.sock", run_dir);
	b->own[2] = openat(b->own[0], "console.log",
		O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->own[2] < 0)
		return err_sys(err, errno, "create %s/console.log", run_dir);
	return 0;
}

static void birth_exports(struct birth *b, const struct engine_config *cfg)
{
	char name[16];
	size_t mark;

	for (size_t i = 0; i < cfg->n_exports; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		mark = tlv_begin(&b->msg, BT_EXPORT);
		birth_fd(b, BE_FD, cfg->exports[i].fd);
		tlv_put_str(&b->msg, BE_NAME, name);
		tlv_put_u32(&b->msg, BE_FLAGS, cfg->exports[i].flags);
		tlv_end(&b->msg, mark);
	}
}

static int birth_init(struct birth *b, const struct engine_config *cfg,
	const struct engine_pipes *p, struct err *err)
{
	int r;

	*b = (struct birth){.own = {-1, -1, -1}};
	buf_init(&b->msg, BIRTH_MAX);
	r = birth_files(b, cfg->run_dir, err);
	if (r < 0)
		return r;
	tlv_put_u32(&b->msg, BT_VERSION, WIRE_VERSION);
	tlv_put_str(&b->msg, BT_NAME, cfg->name);
	tlv_put_u32(&b->msg, BT_GUEST_UID, GUEST_UID);
	tlv_put_u32(&b->msg, BT_GUEST_GID, GUEST_UID);
	birth_fd(b, BT_FS_SOCKET, p->devices[PIPE_FS]);
	birth_fd(b, BT_VSOCK_SOCKET, p->devices[PIPE_VSOCK]);
	birth_fd(b, BT_CONSOLE, p->devices[PIPE_CONSOLE]);
	birth_fd(b, BT_RUN_DIR, b->own[0]);
	birth_fd(b, BT_VSOCK_LISTEN, b->own[1]);
	birth_fd(b, BT_CONSOLE_LOG, b->own[2]);
	birth_exports(b, cfg);
	return 0;
}

static int open_devices_log(const char *run_dir, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/devices.log", run_dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(err, errno, "create %s", path) : fd;
}

/*
 * The message is queued before the child runs, so nobody waits for anybody:
 * the child reads it first thing, and QEMU's end of the device sockets is
 * connected already.
 */
static int devices_spawn(const struct engine_config *cfg,
	const struct engine_pipes *p, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err)
{
	const char *argv[] = {"cove-devices", NULL};
	_cleanup_free_ char *program = NULL;
	_cleanup_(birth_done) struct birth b;
	_cleanup_close_ int log_fd = -1;
	_cleanup_close_ int parent = -1;
	_cleanup_close_ int child = -1;
	int sv[2], r;

	r = birth_init(&b, cfg, p, err);
	r = r ? r : paths_program(argv[0], &program, err);
	if (r < 0)
		return r;
	log_fd = open_devices_log(cfg->run_dir, err);
	if (log_fd < 0)
		return log_fd;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "socketpair");
	parent = sv[0];
	child = sv[1];
	r = sock_send_fds(
		parent, buf_head(&b.msg), buf_len(&b.msg), b.fds, b.n_fds);
	if (r < 0)
		return err_sys(err, -r, "configure cove-devices");
	return spawn_child(&(struct spawn){.path = program,
				   .argv = argv,
				   .stdin_fd = -1,
				   .stdout_fd = -1,
				   .stderr_fd = log_fd,
				   .fds = {child},
				   .to = {BIRTH_FD},
				   .n_fds = 1},
		record, arg, ret_id, ret_pidfd, err);
}

int engine_start(const struct engine_config *cfg, engine_record_fn *record,
	void *arg, struct engine *ret, struct err *err)
{
	_cleanup_(pipes_done) struct engine_pipes p;
	struct record_ctx ctx = {.fn = record, .arg = arg};
	struct engine e = {.pidfd = {-1, -1}};
	int r = pipes_init(&p, err);

	if (r < 0)
		return r;
	ctx.role = ENGINE_DEVICES;
	r = devices_spawn(cfg, &p, record_role, &ctx, &e.id[ENGINE_DEVICES],
		&e.pidfd[ENGINE_DEVICES], err);
	if (r < 0)
		return r;
	ctx.role = ENGINE_MONITOR;
	r = qemu_spawn(cfg, p.monitor, record_role, &ctx, &e.id[ENGINE_MONITOR],
		&e.pidfd[ENGINE_MONITOR], err);
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
		e.id[i] = id[i];
		e.pidfd[i] = id[i].pid > 0 ? proc_open(&id[i]) : -ESRCH;
		if (e.pidfd[i] < 0) {
			e.pidfd[i] = -1;
			gone = true;
		}
	}
	if (gone) {
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
