/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#define STAT_MASK (STATX_BASIC_STATS | STATX_BTIME)

/* statx() may leave stale bits in fields a file system does not fill. */
static int stat_at(int fd, const char *name, int flags, struct statx *ret)
{
	struct statx stx = {0};

	if (statx(fd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		    STAT_MASK, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & STATX_BTIME)) {
		stx.stx_btime.tv_sec = 0;
		stx.stx_btime.tv_nsec = 0;
	}
	*ret = stx;
	return 0;
}

int fd_stat(int fd, struct statx *ret)
{
	return stat_at(fd, "", AT_EMPTY_PATH, ret);
}

int name_stat(int dirfd, const char *name, struct statx *ret)
{
	return stat_at(dirfd, name, 0, ret);
}

/*
 * One component, checked by request.c; RESOLVE_BENEATH costs nothing and
 * holds even if that check were wrong.
 */
static int path_open(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int child_open(const struct nref *dir, const char *name)
{
	int fd = path_open(dir->fd, name);

	/* BENEATH says EAGAIN when a rename raced with it; the name is one
	 * component, so once more is enough to learn the truth. */
	return fd == -EAGAIN ? path_open(dir->fd, name) : fd;
}

/* -- the LRU of directory descriptors -- */

/* Takes one unused descriptor out of the LRU; with the lock held. */
static int lru_evict(struct fs *fs)
{
	list_for_each (it, &fs->lru) {
		struct node *n = list_entry(it, struct node, lru);

		if (n->fd_users)
			continue;
		list_del(&n->lru);
		fs->n_lru--;
		return TAKE_FD(n->fd);
	}
	return -1;
}

/* Lends n's own descriptor; with the lock held. */
static bool fd_lend(struct fs *fs, struct node *n, struct nref *r)
{
	if (n->fd < 0)
		return false;
	if (!list_empty(&n->lru)) {
		list_del(&n->lru);
		list_add_tail(&fs->lru, &n->lru);
	}
	n->fd_users++;
	r->fd = n->fd;
	r->used = true;
	return true;
}

/* n is a directory just opened at fd: keeps and lends it. */
static void fd_keep(struct nref *r, int fd)
{
	struct fs *fs = r->fs;
	struct node *n = r->node;
	_cleanup_close_ int old = -1;
	_cleanup_close_ int twice = -1;

	fs_lock(fs);
	if (n->fd >= 0) {
		twice = fd; /* another worker was faster */
	} else {
		if (fs->n_lru >= fs->max_dir_fds)
			old = lru_evict(fs);
		n->fd = fd;
		list_add_tail(&fs->lru, &n->lru);
		fs->n_lru++;
	}
	fd_lend(fs, n, r);
	fs_unlock(fs);
}

/* An open() failed for want of descriptors: gives one back. */
static bool fd_relief(struct fs *fs, int error)
{
	_cleanup_close_ int old = -1;

	if (error != -EMFILE && error != -ENFILE)
		return false;
	fs_lock(fs);
	old = lru_evict(fs);
	fs_unlock(fs);
	return old >= 0;
}

/* -- references -- */

void nref_done(struct nref *r)
{
	if (r->own)
		closep(&r->fd);
	if (!r->node)
		return;
	fs_lock(r->fs);
	if (r->used)
		r->node->fd_users--;
	fs_unlock(r->fs);
	node_put(r->fs, r->node);
	*r = (struct nref)nref_of(r->fs);
}

int nref_get(struct nref *r, uint64_t id)
{
	r->node = node_get(r->fs, id);
	return r->node ? 0 : -ESTALE;
}

int nref_dir(struct nref *r, uint64_t id)
{
	int e = nref_get(r, id);

	if (e < 0)
		return e;
	if (r->node->type != S_IFDIR)
		return -ENOTDIR;
	return nref_fd(r);
}

/* The newest name of n: its directory (a reference) and a copy of the name. */
static bool newest_name(
	struct fs *fs, struct node *n, struct nref *dir, char *name)
{
	struct link *l = NULL;

	fs_lock(fs);
	if (!list_empty(&n->links)) {
		l = list_entry(n->links.next, struct link, of_node);
		__builtin_memcpy(name, l->name, l->len + 1u);
		dir->node = l->dir;
		dir->node->refs++;
	}
	fs_unlock(fs);
	return l != NULL;
}

/* Opens r->node as name in dir and checks that it is still that inode. */
static int open_verified(struct nref *r, struct nref *dir, const char *name)
{
	_cleanup_close_ int fd = child_open(dir, name);
	struct statx stx;
	int e = fd;

	if (fd < 0 && fd_relief(r->fs, fd))
		e = fd = child_open(dir, name);
	if (e == -ENOENT || e == -ENOTDIR)
		return -ESTALE;
	if (e < 0)
		return e;
	e = fd_stat(fd, &stx);
	if (e < 0)
		return e;
	if (!node_is(r->fs, r->node, &stx))
		return -ESTALE;
	if (r->node->type == S_IFDIR) {
		fd_keep(r, TAKE_FD(fd));
		return 0;
	}
	r->fd = TAKE_FD(fd);
	r->own = true;
	return 0;
}

static bool lend_own(struct nref *r)
{
	bool lent;

	fs_lock(r->fs);
	lent = fd_lend(r->fs, r->node, r);
	fs_unlock(r->fs);
	return lent;
}

/*
 * Opens the nearest directory above r->node that has no descriptor but whose
 * parent has one. Returns 1 when that was r->node itself, 0 when it was one
 * above it: the caller then tries again from below.
 */
static int open_one_level(struct nref *r)
{
	char name[FS_NAME_MAX + 1];
	struct fs *fs = r->fs;
	_cleanup_nref_ struct nref low = nref_of(fs);
	int e;

	low.node = node_ref(fs, r->node);
	for (unsigned depth = 0; depth < FS_DEPTH_MAX; depth++) {
		_cleanup_nref_ struct nref dir = nref_of(fs);

		if (!newest_name(fs, low.node, &dir, name))
			return -ESTALE;
		if (lend_own(&dir)) {
			if (low.node == r->node) {
				e = open_verified(r, &dir, name);
				return e < 0 ? e : 1;
			}
			return open_verified(&low, &dir, name);
		}
		node_put(fs, low.node);
		low.node = TAKE_PTR(dir.node);
	}
	return -ESTALE;
}

/* A descriptor of an open handle serves as well, for what has no name. */
static bool lend_handle(struct nref *r)
{
	struct fs *fs = r->fs;

	fs_lock(fs);
	if (!list_empty(&r->node->handles)) {
		struct handle *h = list_entry(
			r->node->handles.next, struct handle, of_node);

		r->fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
		r->own = r->fd >= 0;
	}
	fs_unlock(fs);
	return r->own;
}

static int open_by_name(struct nref *r)
{
	/* Every round opens one more directory; the LRU might evict it. */
	for (unsigned i = 0; i < FS_DEPTH_MAX; i++) {
		int e = open_one_level(r);

		if (e != 0)
			return e < 0 ? e : 0;
	}
	return -ESTALE;
}

int nref_fd(struct nref *r)
{
	int e;

	if (r->fd >= 0 || lend_own(r))
		return 0;
	e = open_by_name(r);
	if (e == -ESTALE && lend_handle(r))
		return 0;
	return e;
}

/* Does the newest name still lead to the inode? 0, -ESTALE or -errno. */
static int stat_by_name(struct nref *r, struct statx *ret)
{
	char name[FS_NAME_MAX + 1];
	_cleanup_nref_ struct nref dir = nref_of(r->fs);
	struct statx stx;
	int e;

	if (!newest_name(r->fs, r->node, &dir, name))
		return -ESTALE;
	e = nref_fd(&dir);
	if (e == 0)
		e = name_stat(dir.fd, name, &stx);
	if (e == -ENOENT || e == -ENOTDIR)
		return -ESTALE;
	if (e < 0)
		return e;
	if (!node_is(r->fs, r->node, &stx))
		return -ESTALE;
	*ret = stx;
	return 0;
}

/* Only its descriptor leads to it: an export, or removed by the guest. */
static bool has_no_name(struct nref *r)
{
	bool none;

	fs_lock(r->fs);
	none = r->node->permanent || r->node->pinned;
	fs_unlock(r->fs);
	return none;
}

static bool is_open(struct nref *r)
{
	bool open;

	fs_lock(r->fs);
	open = list_empty(&r->node->links) && !list_empty(&r->node->handles);
	fs_unlock(r->fs);
	return open;
}

int nref_fd_named(struct nref *r)
{
	struct statx stx;
	int e;

	if (has_no_name(r) || is_open(r))
		return nref_fd(r);
	if (r->node->type != S_IFDIR)
		return open_by_name(r);
	e = stat_by_name(r, &stx);
	return e < 0 ? e : nref_fd(r);
}

int nref_stat(struct nref *r, struct statx *ret)
{
	int e;

	if (has_no_name(r)) {
		e = nref_fd(r);
		return e < 0 ? e : fd_stat(r->fd, ret);
	}
	e = stat_by_name(r, ret);
	if (e != -ESTALE)
		return e;
	/* Replaced on the host while the guest has it open, or is in it. */
	if (!lend_own(r) && !lend_handle(r))
		return -ESTALE;
	return fd_stat(r->fd, ret);
}

/* -- names that go away -- */

void child_hold(const struct nref *dir, const char *name, struct nref *r)
{
	struct fs *fs = r->fs;
	struct link *l;
	bool room;

	fs_lock(fs);
	l = link_find(fs, dir->node, name);
	room = fs->n_pinned < fs->max_pinned;
	if (l && room) {
		r->node = l->node;
		r->node->refs++;
	}
	fs_unlock(fs);
	/* Without a descriptor the node is merely stale afterwards. */
	if (r->node && !lend_own(r))
		(void)open_verified(
			r, &(struct nref){fs, dir->node, dir->fd}, name);
}

void child_removed(struct nref *r)
{
	struct node *n = r->node;
	struct fs *fs = r->fs;

	if (!n || r->fd < 0)
		return;
	fs_lock(fs);
	if (list_empty(&n->links) && n->nlookup && !n->pinned &&
		!n->permanent) {
		if (n->fd < 0 && r->own) {
			n->fd = TAKE_FD(r->fd);
			r->own = false;
		}
		if (!list_empty(&n->lru)) {
			list_del(&n->lru);
			fs->n_lru--;
		}
		n->pinned = n->fd >= 0;
		fs->n_pinned += n->pinned;
	}
	fs_unlock(fs);
}
