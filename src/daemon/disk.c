/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/disk.h"

#include "base/opt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define COPY_CHUNK (1024u * 1024u)

static char *base_path(const struct daemon *d, const char *kind, uint64_t size)
{
	return xasprintf("%s/disks/ext4-%llu-%s.img", d->paths.cache,
		(unsigned long long)size, kind);
}

int disk_base_ready(const struct daemon *d, const char *kind, uint64_t size,
	struct err *err)
{
	_cleanup_free_ char *path = base_path(d, kind, size);
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(err, errno, "%s", path);
	}
	/* It was renamed to this name when it was whole. */
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int disk_base_make(struct daemon *d, const char *kind, uint64_t size,
	struct job_watcher *w, struct err *err)
{
	_cleanup_free_ char *program = NULL;
	char human[32], text[96], key[64], bytes[24];
	int r = paths_program("cove-image", &program, err);

	if (r < 0)
		return r;
	(void)snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)size);
	(void)snprintf(key, sizeof(key), "disk-%s-%s", bytes, kind);
	(void)snprintf(text, sizeof(text), "formatting an empty %s disk",
		format_size(size, human, sizeof(human)));
	const char *const argv[] = {program, "disk", "--json", "--kind", kind,
		"--size", bytes, NULL};
	const struct job_start js = {
		.key = key, .argv = argv, .step = "disk", .text = text};
	return job_join(d, &js, w, err);
}

static int copy_range(int from, int to, off_t pos, off_t end)
{
	_cleanup_free_ uint8_t *mem = NULL;

	while (pos < end) {
		off_t in = pos, out = pos;
		ssize_t n = copy_file_range(from, &in, to, &out,
			(size_t)MIN(end - pos, (off_t)(64 * MIB)), 0);

		if (n < 0 && errno != EXDEV && errno != EINVAL &&
			errno != ENOSYS && errno != EOPNOTSUPP)
			return -errno;
		if (n <= 0) { /* other file system: the plain way */
			if (!mem)
				mem = xcalloc(1, COPY_CHUNK);
			n = pread(from, mem,
				(size_t)MIN(end - pos, (off_t)COPY_CHUNK), pos);
			if (n <= 0)
				return n < 0 ? -errno : -EIO;
			n = pwrite(to, mem, (size_t)n, pos);
			if (n <= 0)
				return n < 0 ? -errno : -EIO;
		}
		pos += n;
	}
	return 0;
}

int disk_copy_fd(int from, int to, uint64_t size)
{
	off_t pos = 0, end;
	int r;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (ftruncate(to, (off_t)size) < 0)
		return -errno;
	while ((uint64_t)pos < size) {
		pos = lseek(from, pos, SEEK_DATA);
		if (pos < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(from, pos, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = copy_range(from, to, pos, MIN(end, (off_t)size));
		if (r < 0)
			return r;
		pos = end;
	}
	return 0;
}

int disk_copy(const struct daemon *d, const char *kind, uint64_t size,
	int dirfd, const char *name, struct err *err)
{
	_cleanup_free_ char *path = base_path(d, kind, size);
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = -1;
	int r;

	if (from < 0)
		return err_sys(err, errno, "%s", path);
	to = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return err_sys(err, errno, "create %s", name);
	r = disk_copy_fd(from, to, size);
	if (r < 0) {
		(void)unlinkat(dirfd, name, 0);
		return err_sys(err, -r, "create %s", name);
	}
	return 0;
}

int disk_room(const struct daemon *d, struct err *err)
{
	struct statvfs v;
	char human[32];
	uint64_t room;

	if (statvfs(d->paths.state, &v) < 0)
		return err_sys(err, errno, "%s", d->paths.state);
	room = (uint64_t)v.f_bavail * v.f_frsize;
	if (room >= DISK_ROOM)
		return 0;
	return err_set(err, ENOSPC,
		"the disk that holds %s is full (%s left); free some space, "
		"e.g. with: cove prune",
		d->paths.state, format_size(room, human, sizeof(human)));
}

uint64_t disk_used(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512u;
}
