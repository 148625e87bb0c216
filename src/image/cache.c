/* SPDX-License-Identifier: Apache-2.0 */
#include "image/cache.h"

#include "base/fd.h"
#include "base/opt.h"
#include "base/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define TMP_PREFIX "tmp-"
#define JSON_MAX (1 * MIB)
#define REMOVE_DEPTH 8

int cache_open(struct cache *c, const char *name, struct err *err)
{
	_cleanup_(paths_done) struct paths p = {0};
	_cleanup_free_ char *path = NULL;
	int r, fd;

	r = paths_init(&p, err);
	if (r < 0)
		return r;
	path = xasprintf("%s/%s", p.cache, name);
	r = paths_make(path, err);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	*c = (struct cache){.path = TAKE_PTR(path), .fd = fd, .lock = -1};
	return 0;
}

void cache_done(struct cache *c)
{
	closep(&c->lock);
	closep(&c->fd);
	free(c->path);
	*c = (struct cache)CACHE_NONE;
}

static int remove_dir(int dirfd, const char *name, int depth);

static int remove_entry(int dirfd, const char *name, int depth)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	return remove_dir(dirfd, name, depth);
}

static int remove_dir(int dirfd, const char *name, int depth)
{
	int fd = openat(
		dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	int r = 0;
	DIR *d;

	if (fd < 0 || depth > REMOVE_DEPTH)
		return closep(&fd), fd < 0 ? -errno : -ELOOP;
	d = fdopendir(fd);
	if (!d)
		abort();
	while ((e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = remove_entry(fd, e->d_name, depth + 1);
		if (r < 0)
			break;
	}
	closedir(d);
	if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int cache_remove(int dirfd, const char *name)
{
	return remove_entry(dirfd, name, 0);
}

/* Holding the lock, so every tmp-* belongs to a job that is gone. */
static void sweep(const struct cache *c)
{
	int fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (strncmp(e->d_name, TMP_PREFIX, strlen(TMP_PREFIX)) == 0)
			cache_remove(c->fd, e->d_name);
	closedir(d);
}

int cache_lock(
	struct cache *c, void (*on_wait)(void *), void *arg, struct err *err)
{
	_cleanup_close_ int fd =
		openat(c->fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "%s/.lock", c->path);
	r = flock(fd, LOCK_EX | LOCK_NB);
	if (r < 0 && errno == EWOULDBLOCK) {
		if (on_wait)
			on_wait(arg);
		do
			r = flock(fd, LOCK_EX);
		while (r < 0 && errno == EINTR);
	}
	if (r < 0)
		return err_sys(err, errno, "cannot lock %s", c->path);
	c->lock = TAKE_FD(fd);
	sweep(c);
	return 0;
}

int cache_tmp(struct cache *c, char **ret_name, int *ret_fd, struct err *err)
{
	_cleanup_free_ char *name = NULL, *path = NULL;
	int fd;

	path = xasprintf("%s/" TMP_PREFIX "XXXXXX", c->path);
	if (!mkdtemp(path))
		return err_sys(err, errno, "cannot create %s", path);
	name = xstrdup(path + strlen(c->path) + 1);
	fd = openat(
		c->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	*ret_name = TAKE_PTR(name);
	*ret_fd = fd;
	return 0;
}

static int sync_files(int dirfd)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		int fd;

		if (e->d_type != DT_REG)
			continue;
		fd = openat(dirfd, e->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			r = -errno;
		closep(&fd);
	}
	closedir(d);
	if (r == 0 && fsync(dirfd) < 0)
		r = -errno;
	return r;
}

int cache_commit(struct cache *c, const char *tmp, int tmp_fd, const char *name,
	struct err *err)
{
	int r = sync_files(tmp_fd);

	if (r < 0)
		return err_sys(err, -r, "cannot write %s/%s", c->path, tmp);
	if (renameat(c->fd, tmp, c->fd, name) < 0) {
		/* something is there: swap, so that the name always exists */
		if (renameat2(c->fd, tmp, c->fd, name, RENAME_EXCHANGE) < 0)
			return err_sys(err, errno, "cannot rename to %s/%s",
				c->path, name);
		cache_remove(c->fd, tmp);
	}
	if (fsync(c->fd) < 0)
		return err_sys(err, errno, "%s", c->path);
	return 0;
}

int cache_symlink(
	int dirfd, const char *name, const char *target, struct err *err)
{
	_cleanup_free_ char *tmp = xasprintf(TMP_PREFIX "%s", name);

	cache_remove(dirfd, tmp);
	if (symlinkat(target, dirfd, tmp) < 0 ||
		renameat(dirfd, tmp, dirfd, name) < 0)
		return err_sys(err, errno, "cannot link %s", name);
	return 0;
}

int cache_space(const char *path, uint64_t need, struct err *err)
{
	char want[32], have[32];
	struct statvfs v;
	uint64_t left;

	if (statvfs(path, &v) < 0)
		return err_sys(err, errno, "%s", path);
	left = (uint64_t)v.f_bavail * v.f_frsize;
	if (left >= need)
		return 0;
	return err_set(err, ENOSPC, "%s has %s free, %s are needed", path,
		format_size(left, have, sizeof(have)),
		format_size(need, want, sizeof(want)));
}

json_t *cache_read_json(int dirfd, const char *path)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = fd_slurp_at(dirfd, path, JSON_MAX, &text);
	json_t *o;

	if (n < 0)
		return NULL;
	o = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	if (o && !json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int cache_write_json(
	int dirfd, const char *path, const json_t *o, struct err *err)
{
	_cleanup_free_ char *text = json_dumps(o, JSON_INDENT(2));
	_cleanup_free_ char *line = xasprintf("%s\n", text ? text : "");
	int r = fd_replace_at(dirfd, path, line, strlen(line), 0600);

	if (r < 0)
		return err_sys(err, -r, "cannot write %s", path);
	return 0;
}
