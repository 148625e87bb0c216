/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/mounts.h"

#include "base/log.h"
#include "wire/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define SHARE_FLAGS (MS_NOSUID | MS_NODEV)

static int make_dir(
	int parent, const char *name, bool own, uint32_t uid, uint32_t gid)
{
	if (mkdirat(parent, name, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (own && fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int make_file(int parent, const char *name)
{
	int fd = openat(parent, name,
		O_RDONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int descend(int *fd, const char *name)
{
	int next = openat(*fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (next < 0)
		return -errno;
	close(*fd);
	*fd = next;
	return 0;
}

int mounts_make_target(
	int rootfd, const char *path, bool file, uint32_t uid, uint32_t gid)
{
	_cleanup_close_ int fd =
		openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *copy = xstrdup(path);
	bool home = strncmp(path, "/home/", 6) == 0;
	char *save = NULL;
	char *name = strtok_r(copy, "/", &save);
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && name) {
		char *next = strtok_r(NULL, "/", &save);

		if (file && !next)
			return make_file(fd, name);
		r = make_dir(fd, name, home, uid, gid);
		r = r ? r : descend(&fd, name);
		name = next;
	}
	return r;
}

static int bind_one(
	const struct mount_spec *m, uint32_t uid, uint32_t gid, struct err *err)
{
	_cleanup_free_ char *src = xasprintf(SHARE_DIR "/%s", m->export);
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = mounts_make_target(
		root, m->target, m->flags & AMF_FILE, uid, gid);

	if (r < 0)
		return err_sys(err, -r, "make the mount point %s", m->target);
	if (mount(src, m->target, NULL, MS_BIND, NULL) < 0)
		return err_sys(err, errno, "mount the workspace %s", m->target);
	if ((m->flags & AMF_RO) &&
		mount(NULL, m->target, NULL,
			MS_REMOUNT | MS_BIND | MS_RDONLY | SHARE_FLAGS,
			NULL) < 0)
		return err_sys(err, errno, "make %s read-only", m->target);
	return 0;
}

static int mount_share(struct err *err)
{
	(void)mkdir("/run/cove", 0700);
	(void)mkdir(SHARE_DIR, 0700);
	(void)mkdir(MOUNTS_PROBE_DIR, 0700);
	if (mount(SHARE_TAG, SHARE_DIR, "virtiofs", SHARE_FLAGS, NULL) < 0)
		return err_sys(err, errno, "mount the shared directories");
	if (mount(SHARE_DIR, MOUNTS_PROBE_DIR, NULL, MS_BIND, NULL) < 0 ||
		mount(NULL, MOUNTS_PROBE_DIR, NULL,
			MS_REMOUNT | MS_BIND | MS_RDONLY | SHARE_FLAGS,
			NULL) < 0)
		return err_sys(err, errno, "mount %s", MOUNTS_PROBE_DIR);
	return 0;
}

int mounts_apply(
	const struct config *c, uint32_t uid, uint32_t gid, struct err *err)
{
	int r;

	if (!c->n_mounts)
		return 0;
	r = mount_share(err);
	for (size_t i = 0; r == 0 && i < c->n_mounts; i++)
		r = bind_one(&c->mounts[i], uid, gid, err);
	return r;
}

void mounts_undo(const struct config *c)
{
	(void)umount2(MOUNTS_PROBE_DIR, MNT_DETACH);
	for (size_t i = c->n_mounts; i-- > 0;)
		if (umount2(c->mounts[i].target, MNT_DETACH) < 0)
			log_debug("umount %s: %d", c->mounts[i].target, errno);
}
