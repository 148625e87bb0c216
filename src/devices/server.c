/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "jail/jail.h"
#include "wire/agent.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define FS_QUEUES 1u
/* Descriptors for everything but files: connections, devices, the rest. */
#define FDS_RESERVED (VSOCK_CONNS + 256u)

static size_t given_fds(const struct birth *b, int *fds)
{
	const int all[] = {b->fs_sock, b->vsock_sock, b->vsock_listen,
		b->run_dir, b->console, b->console_log};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			fds[n++] = all[i];
	for (size_t i = 0; i < b->n_exports; i++)
		fds[n++] = b->exports[i].fd;
	return n;
}

/* Names inside the jail are ours; what the guest sees is fs_export()'s. */
static void visible_files(const struct birth *b, char names[BIRTH_EXPORTS][8],
	struct jail_files *f)
{
	for (size_t i = 0; i < b->n_exports; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "x%zu", i);
		f->entry[f->n++] = (struct jail_entry){&b->exports[i].fd,
			names[i], b->exports[i].flags & AMF_RO};
	}
	if (b->run_dir >= 0)
		f->entry[f->n++] =
			(struct jail_entry){&b->run_dir, "run", true};
}

int server_jail(struct server *s, int birth_fd, struct err *err)
{
	int keep[FD_PASS_MAX + 1];
	char names[BIRTH_EXPORTS][8];
	struct jail_files files = {.n = 0};
	size_t n = given_fds(&s->birth, keep);
	int r;

	keep[n++] = birth_fd;
	r = jail_fds(keep, n, err);
	if (r < 0)
		return r;
	visible_files(&s->birth, names, &files);
	return jail_enter(
		&files, geteuid() == 0 ? jail_file_capabilities : 0, err);
}

static void one_gone(struct server *s)
{
	if (--s->front_ends == 0)
		loop_stop(&s->loop, 0);
}

static void fs_gone(struct vhu *v)
{
	one_gone(container_of(v, struct server, vhu_fs));
}

static void vsock_gone(struct vhu *v)
{
	one_gone(container_of(v, struct server, vhu_vsock));
}

/*
 * The agent listens on PORT_SHARE once it has said hello or serves an exec:
 * then the file server gets its stream for taking caches back. Refused or
 * broken, the next connection is the next try.
 */
static void on_opened(void *arg, bool from_guest, uint32_t port)
{
	struct server *s = arg;
	int fd;

	if (port != (from_guest ? PORT_CONTROL : PORT_EXEC) ||
		vsock_locals(s->vsock))
		return;
	fd = vsock_connect_local(s->vsock, PORT_SHARE);
	if (fd >= 0)
		fs_share(s->fs, fd);
}

static void on_settled(void *arg)
{
	struct server *s = arg;

	vsock_release(s->vsock);
}

/* What a program on the host changed is known inside before its bytes are. */
static bool on_hold(void *arg)
{
	struct server *s = arg;

	return !fs_settle(s->fs, on_settled, s);
}

static uint32_t fs_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 512;
	if (lim.rlim_max / 2 < FDS_RESERVED)
		return (uint32_t)lim.rlim_max / 2;
	return (uint32_t)MIN(lim.rlim_max - FDS_RESERVED, (rlim_t)1 << 20);
}

static unsigned worker_count(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return (unsigned)MIN(MAX(n, 2L), (long)FS_DEV_WORKERS);
}

static int build_fs(struct server *s, struct err *err)
{
	struct birth *b = &s->birth;
	struct fs_config cfg = fs_config_default;
	int r;

	cfg.guest_uid = b->guest_uid;
	cfg.guest_gid = b->guest_gid;
	cfg.n_workers = worker_count();
	cfg.max_fds = fs_descriptors();
	r = fs_new(&cfg, &s->fs, err);
	for (size_t i = 0; r == 0 && i < b->n_exports; i++)
		r = fs_export(s->fs, b->exports[i].name,
			TAKE_FD(b->exports[i].fd), b->exports[i].flags, err);
	r = r ? r : fs_watch(s->fs, &s->loop, err);
	if (r < 0)
		return r;
	r = fs_dev_new(s->fs, SHARE_TAG, FS_QUEUES, cfg.n_workers, &s->fs_dev);
	return r < 0 ? err_sys(err, -r, "file system device") : 0;
}

static int build_vsock(struct server *s, struct err *err)
{
	const struct vsock_hooks hooks = {on_opened, on_hold, s};
	int r = vsock_new(
		&s->loop, s->birth.vsock_listen, s->birth.run_dir, &s->vsock);

	if (r < 0)
		return err_sys(err, -r, "vsock device");
	vsock_set_hooks(s->vsock, &hooks);
	return 0;
}

static int attach(struct server *s, struct vhu *v, int *sock, struct vdev *d,
	void (*on_gone)(struct vhu *v), struct err *err)
{
	int r;

	if (*sock < 0)
		return 0;
	r = vhu_init(v, &s->loop, TAKE_FD(*sock), d, on_gone);
	if (r < 0)
		return err_sys(err, -r, "front end of %s", d->ops->name);
	s->front_ends++;
	return 0;
}

static void on_signal(struct loop *l, void *arg, int signo)
{
	loop_stop(l, 0);
}

static int build_loop(struct server *s, struct err *err)
{
	sigset_t set;
	int r = loop_init(&s->loop);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)signal(SIGPIPE, SIG_IGN);
	s->has_loop = r == 0;
	r = r ? r : loop_signals(&s->loop, &set, on_signal, s);
	return r < 0 ? err_sys(err, -r, "event loop") : 0;
}

static int build_console(struct server *s, struct err *err)
{
	struct birth *b = &s->birth;
	int r;

	if (b->console < 0 || b->console_log < 0)
		return 0;
	r = console_init(&s->console, &s->loop, TAKE_FD(b->console),
		TAKE_FD(b->console_log), CONSOLE_LOG_MAX);
	return r < 0 ? err_sys(err, -r, "console log") : 0;
}

int server_build(struct server *s, struct err *err)
{
	int r = build_loop(s, err);

	r = r ? r : build_fs(s, err);
	r = r ? r : build_vsock(s, err);
	r = r ? r : build_console(s, err);
	r = r ? r
	      : attach(s, &s->vhu_fs, &s->birth.fs_sock, fs_dev_vdev(s->fs_dev),
			fs_gone, err);
	r = r ? r
	      : attach(s, &s->vhu_vsock, &s->birth.vsock_sock,
			vsock_dev(s->vsock), vsock_gone, err);
	if (r == 0 && !s->front_ends)
		r = err_set(err, EINVAL, "no front end was given");
	return r;
}

int server_run(struct server *s)
{
	return loop_run(&s->loop);
}

/* Front ends first: they stop the queues that the devices work on. */
void server_done(struct server *s)
{
	if (s->vhu_fs.dev)
		vhu_done(&s->vhu_fs);
	if (s->vhu_vsock.dev)
		vhu_done(&s->vhu_vsock);
	if (s->console.loop)
		console_done(&s->console);
	fs_dev_free(s->fs_dev);
	if (s->fs)
		fs_free(s->fs);
	vsock_free(s->vsock);
	birth_done(&s->birth);
	if (s->has_loop)
		loop_done(&s->loop);
}
