/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices.h"

#include "wire/agent.h"

#include <errno.h>

#define FS_QUEUES 1u

static int open_share(
	struct devices *d, struct vmm_config *cfg, struct err *err)
{
	struct fs_config fc = fs_config_default;
	int r;

	fc.guest_uid = cfg->guest_uid;
	fc.guest_gid = cfg->guest_gid;
	fc.n_workers = FS_DEV_WORKERS;
	r = fs_new(&fc, &d->fs, err);
	for (size_t i = 0; r == 0 && i < cfg->n_exports; i++) {
		struct config_export *e = &cfg->export[i];
		r = fs_export(d->fs, e->name, TAKE_FD(e->fd), e->flags, err);
	}
	return r;
}

int devices_open(struct devices *d, struct loop *l, struct vmm_config *cfg,
	struct err *err)
{
	*d = (struct devices){.loop = l};
	return cfg->n_exports > 0 ? open_share(d, cfg, err) : 0;
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
	int r = vsock_new(d->loop, cfg->vsock_listen, cfg->run_dir, &d->vsock);

	if (r < 0)
		return err_sys(err, -r, "cannot make the vsock device");
	return mmio_add(bank, bus, vsock_dev(d->vsock), err);
}

static int add_share(struct devices *d, struct mmio_bank *bank,
	struct bus *bus, struct err *err)
{
	int r = fs_dev_new(
		d->fs, SHARE_TAG, FS_QUEUES, FS_DEV_WORKERS, &d->fs_dev);

	if (r < 0)
		return err_sys(err, -r, "cannot make the file device");
	return mmio_add(bank, bus, fs_dev_vdev(d->fs_dev), err);
}

int devices_attach(struct devices *d, const struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	int r = add_disks(d, cfg, bank, bus, err);

	if (r == 0 && cfg->vsock_listen >= 0)
		r = add_streams(d, cfg, bank, bus, err);
	if (r == 0 && d->fs)
		r = add_share(d, bank, bus, err);
	if (r < 0)
		return r;
	d->rng = rng_new(d->loop);
	r = mmio_add(bank, bus, rng_dev(d->rng), err);
	if (r < 0)
		return r;
	d->balloon = balloon_new(d->loop);
	return mmio_add(bank, bus, balloon_dev(d->balloon), err);
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
