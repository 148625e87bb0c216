/* SPDX-License-Identifier: Apache-2.0 */
#include "copy/place.h"

#include "copy/tree.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool tree_name_ok(const char *name)
{
	return name[0] && !streq(name, ".") && !streq(name, "..") &&
		!strchr(name, '/') && strlen(name) < 256;
}

static size_t without_slashes(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	return len;
}

/* The last component of path[0..len) begins here. */
static size_t base_at(const char *path, size_t len)
{
	while (len && path[len - 1] != '/')
		len--;
	return len;
}

int tree_name(const char *path, char ret_name[256])
{
	size_t len = without_slashes(path);
	size_t at = base_at(path, len);
	_cleanup_free_ char *name = xstrndup(path + at, len - at);

	if (len - at >= 256)
		return -ENAMETOOLONG;
	snprintf(ret_name, 256, "%s", tree_name_ok(name) ? name : ".");
	return 0;
}

void place_done(struct place *p)
{
	closep(&p->dirfd);
}

static int open_dir(const char *path, int *ret, struct err *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	*ret = fd;
	return 0;
}

static int place_inside(const char *dst, const char *name, bool is_dir,
	struct place *ret, struct err *err)
{
	bool merge = streq(name, ".");

	if (merge && !is_dir)
		return err_set(err, EINVAL,
			"%s: a file has no contents to put there", dst);
	snprintf(ret->name, sizeof(ret->name), "%s", merge ? "" : name);
	return open_dir(dst, &ret->dirfd, err);
}

/* dst itself is what will be made or replaced. */
static int place_as(const char *dst, struct place *ret, struct err *err)
{
	size_t len = without_slashes(dst);
	size_t at;
	_cleanup_free_ char *dir = NULL;

	if (len >= 2 && dst[len - 1] == '.' && dst[len - 2] == '/')
		len = MAX(len - 2, 1u);
	at = base_at(dst, len);
	if (len - at >= sizeof(ret->name))
		return err_set(
			err, ENAMETOOLONG, "%s: the name is too long", dst);
	memcpy(ret->name, dst + at, len - at);
	ret->name[len - at] = '\0';
	if (!tree_name_ok(ret->name))
		return err_set(err, ENOENT, "%s: no such directory", dst);
	dir = at ? xstrndup(dst, at) : xstrdup(".");
	return open_dir(dir, &ret->dirfd, err);
}

static int place_over(
	const char *dst, bool is_dir, struct place *ret, struct err *err)
{
	_cleanup_free_ char *real = NULL;

	if (is_dir)
		return err_set(err, ENOTDIR,
			"%s is a file: a directory cannot replace it", dst);
	real = realpath(dst, NULL);
	if (!real)
		return err_sys(err, errno, "%s", dst);
	return place_as(real, ret, err);
}

static bool means_dir(const char *dst)
{
	size_t len = strlen(dst);

	return (len && dst[len - 1] == '/') ||
		(len >= 2 && streq(dst + len - 2, "/."));
}

int tree_place(const char *dst, const char *name, bool is_dir,
	struct place *ret, struct err *err)
{
	struct stat st;

	if (!streq(name, ".") && !tree_name_ok(name))
		return err_set(err, EINVAL, "the tree has an impossible name");
	if (stat(dst, &st) == 0)
		return S_ISDIR(st.st_mode)
			? place_inside(dst, name, is_dir, ret, err)
			: place_over(dst, is_dir, ret, err);
	if (errno != ENOENT)
		return err_sys(err, errno, "%s", dst);
	if (means_dir(dst) && !is_dir)
		return err_set(err, ENOENT, "%s: no such directory", dst);
	return place_as(dst, ret, err);
}
