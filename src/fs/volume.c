/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#ifndef BCACHEFS_MAGIC
#define BCACHEFS_MAGIC 0xca451a4el
#endif

/*
 * File systems whose every change goes through this kernel, so that inotify
 * sees it. A network file system or somebody else's FUSE may change silently.
 */
static const long watchable[] = {
	0xef53,     /* ext2, ext3, ext4 */
	0x58465342, /* xfs */
	0x9123683e, /* btrfs */
	0x01021994, /* tmpfs */
	0xf2f52010, /* f2fs */
	0x794c7630, /* overlayfs */
	0x2fc12fc1, /* zfs */
	0x3153464a, /* jfs */
	BCACHEFS_MAGIC,
};

/*
 * Kernel interfaces dressed as files. /proc would hand the guest this very
 * process (/proc/self/mem is a regular file); nobody shares the others on
 * purpose, but sharing / must stay safe.
 */
static const long refused[] = {
	0x9fa0,     /* proc */
	0x62656572, /* sysfs */
	0x64626720, /* debugfs */
	0x74726163, /* tracefs */
	0x27e0eb,   /* cgroup */
	0x63677270, /* cgroup2 */
	0x1cd1,     /* devpts */
	0xcafe4a11, /* bpf */
	0x62656570, /* configfs */
	0x73636673, /* securityfs */
	0xf97cff8c, /* selinuxfs */
	0xde5e81e4, /* efivarfs */
	0x65735543, /* fusectl */
	0x42494e4d, /* binfmt_misc */
	0x6e736673, /* nsfs */
	0x19800202, /* mqueue */
};

static bool among(long type, const long *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == type)
			return true;
	return false;
}

static struct volume *volume_known(struct fs *fs, uint64_t dev)
{
	for (unsigned i = 0; i < fs->n_volumes; i++)
		if (fs->volumes[i].dev == dev)
			return &fs->volumes[i];
	return NULL;
}

/*
 * Inode numbers of different devices must differ and stay the same from one
 * run to the next. The first export's device keeps its numbers; the others
 * get 15 bits from their device number in the high bits (the next free value
 * when two meet).
 */
static uint64_t volume_mix(const struct fs *fs, uint64_t dev)
{
	uint64_t h = dev * 0x9e3779b97f4a7c15ull >> 49 | 0x8000;

	if (!fs->n_volumes)
		return 0;
	for (unsigned i = 0; i < fs->n_volumes; i++) {
		if (fs->volumes[i].mix != h << 48)
			continue;
		h = (h + 1) | 0x8000;
		h &= 0xffff;
		i = (unsigned)-1; /* look again from the first */
	}
	return h << 48;
}

static int volume_add(struct fs *fs, uint64_t dev, long type, uint16_t *ret)
{
	struct volume *v = volume_known(fs, dev);

	if (!v) {
		if (fs->n_volumes == FS_VOLUMES_MAX)
			return -EACCES;
		v = &fs->volumes[fs->n_volumes];
		v->mix = volume_mix(fs, dev);
		v->dev = dev;
		v->watchable = among(type, watchable, ARRAY_SIZE(watchable));
		v->refused = among(type, refused, ARRAY_SIZE(refused));
		fs->n_volumes++;
	}
	*ret = (uint16_t)(v - fs->volumes);
	return v->refused ? -EACCES : 0;
}

int volume_find(struct fs *fs, int dirfd, const char *name,
	const struct statx *stx, uint16_t *ret)
{
	uint64_t dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
	_cleanup_close_ int fd = -1;
	struct volume *v;
	struct statfs sfs;
	int r;

	fs_lock(fs);
	v = volume_known(fs, dev);
	if (v)
		*ret = (uint16_t)(v - fs->volumes);
	r = v && v->refused ? -EACCES : 0;
	fs_unlock(fs);
	if (v)
		return r;
	if (name[0])
		fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (name[0] && fd < 0)
		return -errno;
	if (fstatfs(name[0] ? fd : dirfd, &sfs) < 0)
		return -errno;
	fs_lock(fs);
	r = volume_add(fs, dev, (long)sfs.f_type, ret);
	fs_unlock(fs);
	return r;
}
