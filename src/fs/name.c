/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* -- LOOKUP and what answers like it -- */

/*
 * Answers with the node that name in dir is now. lease was taken before stx.
 * Directories get a descriptor and a watch of their own at once: the guest
 * that looked one up is about to look into it.
 */
int entry_of(struct nref *dir, const char *name, const struct statx *stx,
	struct lease *lease, struct fuse_entry_out *ret)
{
	struct fs *fs = dir->fs;
	_cleanup_nref_ struct nref n = nref_of(fs);
	struct statx now = *stx;
	int e = node_enter(dir, name, stx, &n.node);

	if (e < 0)
		return e;
	if (n.node->type == S_IFDIR) {
		lease->attr_ok = false;
		if (atomic_load(&fs->leasing) && nref_fd(&n) == 0) {
			lease_dir(lease, &n);
			if (fd_stat(n.fd, &now) < 0)
				now = *stx;
		}
	}
	fill_entry(fs, n.node, &now, lease, ret);
	return 0;
}

static int reply_entry(
	struct req *rq, struct nref *dir, const char *name, struct lease *lease)
{
	struct fuse_entry_out out;
	struct statx stx;
	int e = name_stat(dir->fd, name, &stx);

	if (e == 0)
		e = entry_of(dir, name, &stx, lease, &out);
	/* Never a negative entry: the host may create the file at any time. */
	if (e == -ENOENT)
		link_drop(rq->fs, dir->node, name);
	if (e < 0)
		return e;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

static int lookup_export(struct req *rq)
{
	struct fs *fs = rq->fs;
	struct fuse_entry_out out;
	struct statx stx;
	int e = -ENOENT;

	for (unsigned i = 0; i < fs->n_exports; i++) {
		struct node *n = fs->exports[i].node;
		_cleanup_nref_ struct nref r = nref_of(fs);
		struct lease l;

		if (!streq(fs->exports[i].name, rq->name[0]))
			continue;
		r.node = node_ref(fs, n);
		e = nref_fd(&r);
		if (e < 0)
			return e;
		l = lease_node(&r);
		e = fd_stat(r.fd, &stx);
		if (e < 0)
			return e;
		fs_lock(fs);
		n->nlookup++;
		fs_unlock(fs);
		fill_entry(fs, n, &stx, &l, &out);
		out.entry_valid = 3600; /* exports stay */
		req_reply(rq, &out, sizeof(out));
	}
	return e;
}

int op_lookup(struct req *rq)
{
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	struct lease l;
	int e;

	if (rq->head.nodeid == FUSE_ROOT_ID)
		return lookup_export(rq);
	e = nref_dir(&dir, rq->head.nodeid);
	if (e < 0)
		return e;
	l = lease_child(&dir, rq->name[0]);
	return reply_entry(rq, &dir, rq->name[0], &l);
}

int op_forget(struct req *rq)
{
	const struct fuse_forget_in *in = rq->arg;

	node_forget(rq->fs, rq->head.nodeid, in->nlookup);
	return 0;
}

int op_batch_forget(struct req *rq)
{
	const struct fuse_batch_forget_in *in = rq->arg;
	const struct fuse_forget_one *one = (const void *)rq->tail;

	for (uint32_t i = 0;
		i < in->count && (i + 1) * sizeof(*one) <= rq->tail_len; i++)
		node_forget(rq->fs, one[i].nodeid, one[i].nlookup);
	return 0;
}

int op_readlink(struct req *rq)
{
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	ssize_t len;
	int e = nref_get(&n, rq->head.nodeid);

	if (e == 0 && n.node->type != S_IFLNK)
		return -EINVAL;
	if (e == 0)
		e = nref_fd_named(&n);
	if (e < 0)
		return e;
	len = readlinkat(n.fd, "", (char *)rq->w->out, sizeof(rq->w->out));
	if (len < 0)
		return -errno;
	rq->out_len = (size_t)len;
	return 0;
}

/* -- making things -- */

struct make {
	uint32_t mode;
	const char *target;     /* of a symlink */
	const struct nref *old; /* of a hard link */
};

static int make(struct req *rq, const struct make *m)
{
	const char *name = rq->name[0];
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	_cleanup_change_ struct change ch = {0};
	struct lease l;
	char old[16];
	int r;
	int e = nref_dir(&dir, rq->head.nodeid);

	if (e < 0)
		return e;
	l = lease_child(&dir, name);
	ch = change_begin(rq->fs, dir.node, CHANGE_DATA);
	if (m->target)
		r = symlinkat(m->target, dir.fd, name);
	else if (m->old)
		/* Not AT_EMPTY_PATH: that needs a capability. */
		r = linkat(rq->fs->proc_fd, fd_name(m->old->fd, old), dir.fd,
			name, AT_SYMLINK_FOLLOW);
	else if (S_ISDIR(m->mode))
		r = mkdirat(dir.fd, name, m->mode & 07777);
	else
		r = mknodat(dir.fd, name, m->mode, 0);
	if (r < 0)
		return -errno;
	ch.done = true;
	return reply_entry(rq, &dir, name, &l);
}

int op_symlink(struct req *rq)
{
	return make(rq, &(struct make){.target = rq->name[1]});
}

int op_mkdir(struct req *rq)
{
	const struct fuse_mkdir_in *in = rq->arg;

	return make(rq, &(struct make){.mode = S_IFDIR | (in->mode & 07777)});
}

int op_mknod(struct req *rq)
{
	const struct fuse_mknod_in *in = rq->arg;
	uint32_t type = in->mode & S_IFMT;

	/* Never a device, whoever the host's user is. */
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EPERM;
	return make(rq, &(struct make){.mode = type | (in->mode & 07777)});
}

int op_link(struct req *rq)
{
	const struct fuse_link_in *in = rq->arg;
	_cleanup_nref_ struct nref old = nref_of(rq->fs);
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	int e = nref_get(&old, in->oldnodeid);

	if (e == 0)
		e = nref_get(&dir, rq->head.nodeid);
	if (e < 0)
		return e;
	if (old.node->export != dir.node->export)
		return -EXDEV;
	if (old.node->type == S_IFDIR)
		return -EPERM;
	e = nref_fd_named(&old);
	return e < 0 ? e : make(rq, &(struct make){.old = &old});
}

/* -- removing and renaming -- */

/* The guest knows that it moved: it did that. */
static void ctime_moved(struct fs *fs, struct node *n)
{
	fs_lock(fs);
	n->told.ctime_ok = false;
	fs_unlock(fs);
}

/* 0 or -errno. */
static int remove_name(struct fs *fs, int dirfd, const char *name, int flags)
{
	int r;

	if (flags & AT_REMOVEDIR)
		pthread_rwlock_wrlock(&fs->closing);
	r = unlinkat(dirfd, name, flags) < 0 ? -errno : 0;
	if (flags & AT_REMOVEDIR)
		pthread_rwlock_unlock(&fs->closing);
	return r;
}

static int op_remove(struct req *rq, int flags)
{
	const char *name = rq->name[0];
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	_cleanup_nref_ struct nref child = nref_of(rq->fs);
	_cleanup_change_ struct change ch = {0};
	int e = nref_dir(&dir, rq->head.nodeid);

	if (e < 0)
		return e;
	ch = change_begin(rq->fs, dir.node, CHANGE_DATA);
	child_hold(&dir, name, &child);
	e = remove_name(rq->fs, dir.fd, name, flags);
	if (e < 0)
		return e;
	link_drop(rq->fs, dir.node, name);
	child_removed(&child);
	ch.done = true;
	if (child.node)
		ctime_moved(rq->fs, child.node);
	return 0;
}

int op_unlink(struct req *rq)
{
	return op_remove(rq, 0);
}

int op_rmdir(struct req *rq)
{
	return op_remove(rq, AT_REMOVEDIR);
}

static void touch_renamed(struct req *rq, struct nref *dir, const char *name)
{
	struct fs *fs = rq->fs;
	struct link *l;

	fs_lock(fs);
	l = link_find(fs, dir->node, name);
	if (l)
		l->node->told.ctime_ok = false;
	fs_unlock(fs);
}

/*
 * A directory that is renamed stays what it was for the guest, listing and
 * all; only its ctime moves.
 */
struct moved {
	struct nref n;
	bool same;
};

static void moved_begin(struct moved *m, struct nref *dir, const char *name)
{
	struct fs *fs = dir->fs;
	struct statx stx;
	struct link *l;

	fs_lock(fs);
	l = link_find(fs, dir->node, name);
	if (l && l->node->type == S_IFDIR) {
		m->n.node = l->node;
		l->node->refs++;
	}
	fs_unlock(fs);
	m->same = m->n.node && name_stat(dir->fd, name, &stx) == 0 &&
		own_ctime_begin(fs, m->n.node, &stx);
}

static void moved_end(struct moved *m, struct nref *dir, const char *name)
{
	struct statx stx;

	if (m->same && name_stat(dir->fd, name, &stx) == 0 &&
		node_is(dir->fs, m->n.node, &stx))
		own_ctime_end(dir->fs, m->n.node, &stx);
}

static void moved_done(struct moved *m)
{
	nref_done(&m->n);
}

static int do_rename(struct req *rq, uint64_t newid, uint32_t flags)
{
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	_cleanup_nref_ struct nref newdir = nref_of(rq->fs);
	_cleanup_nref_ struct nref victim = nref_of(rq->fs);
	_cleanup_change_ struct change from = {0};
	_cleanup_change_ struct change to = {0};
	_cleanup_(moved_done) struct moved m = {.n = nref_of(rq->fs)};
	bool exchange = flags & RENAME_EXCHANGE;
	int e = nref_get(&newdir, newid);

	if (e < 0)
		return e;
	if (newid == FUSE_ROOT_ID)
		return -EXDEV;
	e = nref_dir(&dir, rq->head.nodeid);
	if (e < 0)
		return e;
	if (dir.node->export != newdir.node->export)
		return -EXDEV;
	if (newdir.node->type != S_IFDIR)
		return -ENOTDIR;
	e = nref_fd(&newdir);
	if (e < 0)
		return e;
	from = change_begin(rq->fs, dir.node, CHANGE_DATA);
	to = change_begin(rq->fs, newdir.node, CHANGE_DATA);
	if (!flags)
		child_hold(&newdir, rq->name[1], &victim);
	moved_begin(&m, &dir, rq->name[0]);
	if (renameat2(dir.fd, rq->name[0], newdir.fd, rq->name[1], flags) < 0)
		return -errno;
	link_rename(rq->fs, dir.node, rq->name[0], newdir.node, rq->name[1],
		exchange);
	child_removed(&victim);
	moved_end(&m, &newdir, rq->name[1]);
	from.done = to.done = true;
	touch_renamed(rq, &newdir, rq->name[1]);
	touch_renamed(rq, &dir, rq->name[0]);
	return 0;
}

int op_rename(struct req *rq)
{
	const struct fuse_rename_in *in = rq->arg;

	return do_rename(rq, in->newdir, 0);
}

int op_rename2(struct req *rq)
{
	const struct fuse_rename2_in *in = rq->arg;

	if (in->flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	return do_rename(rq, in->newdir, in->flags);
}
