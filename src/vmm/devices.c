/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/devices.h"

#include "base/buf.h"

#include <string.h>

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
	int r = share_streams(&d->share, cfg->vsock_listen, cfg->run_dir, err);

	return r ? r : mmio_add(bank, bus, vsock_dev(d->share.vsock), err);
}

static int add_share(struct devices *d, struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	const struct share_config c = {
		.guest_uid = cfg->guest_uid,
		.guest_gid = cfg->guest_gid,
		.n_cpus = cfg->cpus,
		.exports = cfg->export,
		.n_exports = cfg->n_exports,
	};
	int r = share_directories(&d->share, &c, err);

	return r ? r : mmio_add(bank, bus, fs_dev_vdev(d->share.fs_dev), err);
}

int devices_attach(struct devices *d, struct vmm_config *cfg,
	struct mmio_bank *bank, struct bus *bus, struct err *err)
{
	int r;

	*d = (struct devices){
		.loop = bank->loop, .share = {.loop = bank->loop}};
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
	r = fs_save(d->share.fs, &b);
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
	r = fs_restore(d->share.fs, from->extra, from->extra_len);
	return r < 0 ? err_set(err, -r,
			       "the snapshot's share does not fit this sandbox")
		     : 0;
}

void devices_restored(struct devices *d)
{
	if (d->share.vsock)
		vsock_transport_reset(d->share.vsock);
}

void devices_done(struct devices *d)
{
	for (size_t i = 0; i < BIRTH_DISKS; i++)
		blk_free(TAKE_PTR(d->blk[i]));
	share_done(&d->share);
	rng_free(TAKE_PTR(d->rng));
	balloon_free(TAKE_PTR(d->balloon));
}
