/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#define DEPTH_MAX 16

/* Owns fd. Never follows a link, never leaves the tree. */
static int empty_dir(int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(dir))) {
		int sub;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if ((errno != EISDIR && errno != EPERM) || depth == 0) {
			r = -errno;
			break;
		}
		sub = openat(dirfd(dir), e->d_name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = sub < 0 ? -errno : empty_dir(sub, depth - 1);
		if (r == 0 && unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR) < 0)
			r = -errno;
	}
	closedir(dir);
	return r;
}

int remove_tree(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0) {
		/* A link or a file in the place of a directory. */
		if (unlink(path) == 0)
			return 0;
		return err_sys(err, errno, "remove %s", path);
	}
	r = empty_dir(fd, DEPTH_MAX);
	if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
		r = -errno;
	return r < 0 ? err_sys(err, -r, "remove %s", path) : 0;
}
