/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/share.h"

#include "wire/agent.h"
#include <errno.h>
#include <sys/resource.h>

#define FS_QUEUES 1u
/* Descriptors for everything but files: connections, devices, the rest. */
#define FDS_RESERVED (VSOCK_CONNS + 256u)

/* ---- directories ---- */

static uint32_t fs_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 512;
	if (lim.rlim_max / 2 < FDS_RESERVED)
		return (uint32_t)lim.rlim_max / 2;
	return (uint32_t)MIN(lim.rlim_max - FDS_RESERVED, (rlim_t)1 << 20);
}

int share_directories(
	struct share *s, const struct share_config *c, struct err *err)
{
	struct fs_config cfg = fs_config_default;
	int r;

	cfg.guest_uid = c->guest_uid;
	cfg.guest_gid = c->guest_gid;
	cfg.n_workers = MIN(MAX(c->n_cpus, 2u), FS_DEV_WORKERS);
	cfg.max_fds = fs_descriptors();
	r = fs_new(&cfg, &s->fs, err);
	for (size_t i = 0; r == 0 && i < c->n_exports; i++) {
		struct birth_export *e = &c->exports[i];

		r = fs_export(s->fs, e->name, TAKE_FD(e->fd), e->flags, err);
	}
	r = r ? r : fs_watch(s->fs, s->loop, err);
	if (r < 0)
		return r;
	r = fs_dev_new(s->fs, SHARE_TAG, FS_QUEUES, cfg.n_workers, &s->fs_dev);
	return r < 0 ? err_sys(err, -r, "cannot make the file device") : 0;
}

/* ---- streams ---- */

/*
 * The agent listens on PORT_SHARE once it has said hello or serves an exec:
 * then the file server gets its stream for taking caches back. Refused or
 * broken, the next connection is the next try.
 */
static void on_opened(void *arg, bool from_guest, uint32_t port)
{
	struct share *s = arg;
	int fd;

	if (!s->fs || port != (from_guest ? PORT_CONTROL : PORT_EXEC) ||
		vsock_locals(s->vsock))
		return;
	fd = vsock_connect_local(s->vsock, PORT_SHARE);
	if (fd >= 0)
		fs_share(s->fs, fd);
}

static void on_settled(void *arg)
{
	struct share *s = arg;

	vsock_release(s->vsock);
}

static bool on_hold(void *arg)
{
	struct share *s = arg;

	return s->fs && !fs_settle(s->fs, on_settled, s);
}

int share_streams(struct share *s, int listen_fd, int run_dir, struct err *err)
{
	const struct vsock_hooks hooks = {on_opened, on_hold, s};
	int r = vsock_new(s->loop, listen_fd, run_dir, &s->vsock);

	if (r < 0)
		return err_sys(err, -r, "cannot make the vsock device");
	vsock_set_hooks(s->vsock, &hooks);
	return 0;
}

void share_done(struct share *s)
{
	fs_dev_free(TAKE_PTR(s->fs_dev));
	if (s->fs)
		fs_free(TAKE_PTR(s->fs));
	vsock_free(TAKE_PTR(s->vsock));
}
