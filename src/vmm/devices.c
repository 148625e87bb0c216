/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices.h"

#include "base/buf.h"
#include "wire/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define FS_QUEUES 1u
/* Descriptors for everything but files: connections, devices, the rest. */
#define FDS_RESERVED (VSOCK_CONNS + 256u)

/*
 * The agent listens on PORT_SHARE once it has said hello or serves an exec:
 * then the file server gets its stream for taking caches back. Refused or
 * broken, the next connection is the next try.
 */
static void on_opened(void *arg, bool from_guest, uint32_t port)
{
	struct devices *d = arg;
	int fd;

	if (!d->fs || port != (from_guest ? PORT_CONTROL : PORT_EXEC) ||
		vsock_locals(d->vsock))
		return;
	fd = vsock_connect_local(d->vsock, PORT_SHARE);
	if (fd >= 0)
		fs_share(d->fs, fd);
}

static void on_settled(void *arg)
{
	struct devices *d = arg;

	vsock_release(d->vsock);
}

/* What a program on the host changed is known inside before its bytes are. */
static bool on_hold(void *arg)
{
	struct devices *d = arg;

	return d->fs && !fs_settle(d->fs, on_settled, d);
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

static unsigned worker_count(const struct vmm_config *cfg)
{
	return MIN(MAX(cfg->cpus, 2u), FS_DEV_WORKERS);
}

static int open_share(
	struct devices *d, struct vmm_config *cfg, struct err *err)
{
	struct fs_config fc = fs_config_default;
	int r;

	fc.guest_uid = cfg->guest_uid;
	fc.guest_gid = cfg->guest_gid;
	fc.n_workers = worker_count(cfg);
	fc.max_fds = fs_descriptors();
	r = fs_new(&fc, &d->fs, err);
	for (size_t i = 0; r == 0 && i < cfg->n_exports; i++) {
		struct config_export *e = &cfg->export[i];
		r = fs_export(d->fs, e->name, TAKE_FD(e->fd), e->flags, err);
	}
	return r ? r : fs_watch(d->fs, d->loop, err);
}

static int add_disks(struct devices *d, const struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->n_disks; i++) {
		const struct config_disk *c = &cfg->disk[i];
		r = blk_new(c->fd, c->serial, c->read_only, &d->blk[i], err);
		if (r == 0)
			r = mmio_add(bank, bus, blk_dev(d->blk[i]), err);
	}
	return r;
}

static int add_streams(struct devices *d, const struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	const struct vsock_hooks hooks = {on_opened, on_hold, d};
	int r = vsock_new(d->loop, cfg->vsock_listen, cfg->run_dir, &d->vsock);

	if (r < 0)
		return err_sys(err, -r, "cannot make the vsock device");
	vsock_set_hooks(d->vsock, &hooks);
	return mmio_add(bank, bus, vsock_dev(d->vsock), err);
}

static int add_share(struct devices *d, struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	int r = open_share(d, cfg, err);

	if (r < 0)
		return r;
	r = fs_dev_new(
		d->fs, SHARE_TAG, FS_QUEUES, worker_count(cfg), &d->fs_dev);
	if (r < 0)
		return err_sys(err, -r, "cannot make the file device");
	return mmio_add(bank, bus, fs_dev_vdev(d->fs_dev), err);
}

int devices_attach(struct devices *d, struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	int r;

	*d = (struct devices){.loop = bank->loop};
	r = add_disks(d, cfg, bank, bus, err);
	if (r == 0 && (cfg->vsock_listen >= 0 || cfg->run_dir >= 0))
		r = add_streams(d, cfg, bank, bus, err);
	if (r == 0 && cfg->n_exports > 0)
		r = add_share(d, cfg, bank, bus, err);
	if (r < 0)
		return r;
	d->rng = rng_new(d->loop);
	r = mmio_add(bank, bus, rng_dev(d->rng), err);
	if (r < 0)
		return r;
	d->balloon = balloon_new(d->loop);
	return mmio_add(bank, bus, balloon_dev(d->balloon), err);
}

/* Disks, entropy and streams have nothing that outlives a restore. */
int devices_save(struct devices *d, struct snapshot_device *to, struct err *err)
{
	struct buf b;
	int r;

	if (to->id != VIRTIO_ID_FS)
		return 0;
	buf_init(&b, SNAPSHOT_EXTRA_MAX);
	r = fs_save(d->fs, &b);
	if (r == 0) {
		to->extra_len = (uint32_t)buf_len(&b);
		to->extra = xcalloc(1, to->extra_len + 1u);
		memcpy(to->extra, buf_head(&b), to->extra_len);
	}
	buf_done(&b);
	return r < 0 ? err_sys(err, -r, "cannot save the share") : 0;
}

int devices_restore(
	struct devices *d, const struct snapshot_device *from, struct err *err)
{
	int r;

	if (from->id != VIRTIO_ID_FS)
		return 0;
	r = fs_restore(d->fs, from->extra, from->extra_len);
	return r < 0 ? err_set(err, -r,
			       "the snapshot's share does not fit this sandbox")
		     : 0;
}

void devices_restored(struct devices *d)
{
	if (d->vsock)
		vsock_transport_reset(d->vsock);
}

void devices_done(struct devices *d)
{
	for (size_t i = 0; i < BIRTH_DISKS; i++)
		blk_free(TAKE_PTR(d->blk[i]));
	fs_dev_free(TAKE_PTR(d->fs_dev));
	if (d->fs)
		fs_free(TAKE_PTR(d->fs));
	if (d->vsock)
		vsock_free(TAKE_PTR(d->vsock));
	rng_free(TAKE_PTR(d->rng));
	balloon_free(TAKE_PTR(d->balloon));
}
