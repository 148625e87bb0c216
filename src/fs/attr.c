/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

uint32_t uid_to_guest(const struct fs *fs, uint32_t uid)
{
	if (uid == fs->uid)
		return fs->config.guest_uid;
	return uid == 0 ? 0 : OVERFLOW_ID;
}

uint32_t gid_to_guest(const struct fs *fs, uint32_t gid)
{
	if (gid == fs->gid)
		return fs->config.guest_gid;
	return gid == 0 ? 0 : OVERFLOW_ID;
}

bool node_is_ro(const struct fs *fs, const struct node *n)
{
	if (n->export == FS_NO_EXPORT)
		return true;
	return fs->exports[n->export].flags & AMF_RO;
}

/* The kernel's user-visible 32-bit device number (new_encode_dev). */
static uint32_t rdev_encode(const struct statx *stx)
{
	uint32_t minor = stx->stx_rdev_minor;

	return (minor & 0xff) | stx->stx_rdev_major << 8 |
		(minor & ~0xffu) << 12;
}

static void convert(const struct fs *fs, const struct node *n,
	const struct statx *stx, struct fuse_attr *a)
{
	*a = (struct fuse_attr){
		.ino = stx->stx_ino ^ fs->volumes[n->volume].mix,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.atime = (uint64_t)stx->stx_atime.tv_sec,
		.mtime = (uint64_t)stx->stx_mtime.tv_sec,
		.ctime = (uint64_t)stx->stx_ctime.tv_sec,
		.atimensec = stx->stx_atime.tv_nsec,
		.mtimensec = stx->stx_mtime.tv_nsec ^ n->told.salt,
		.ctimensec = stx->stx_ctime.tv_nsec,
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = uid_to_guest(fs, stx->stx_uid),
		.gid = gid_to_guest(fs, stx->stx_gid),
		.rdev = rdev_encode(stx),
		.blksize = stx->stx_blksize,
	};
}

/* Returns how long the answer is good for. */
static uint64_t tell(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, struct fuse_attr *ret)
{
	bool hidden, kept;

	fs_lock(fs);
	kept = told_set(fs, n, stx, l, &hidden);
	convert(fs, n, stx, ret);
	fs_unlock(fs);
	if (hidden)
		ret->mtimensec ^= 1; /* stays below a second */
	return kept ? lease_attr_ms(fs, l, stx) : 0;
}

static void valid(uint64_t ms, uint64_t *ret_sec, uint32_t *ret_nsec)
{
	*ret_sec = ms / 1000;
	*ret_nsec = (uint32_t)(ms % 1000) * 1000000;
}

void fill_attr(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, struct fuse_attr_out *ret)
{
	*ret = (struct fuse_attr_out){0};
	valid(tell(fs, n, stx, l, &ret->attr), &ret->attr_valid,
		&ret->attr_valid_nsec);
}

void fill_entry(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, struct fuse_entry_out *ret)
{
	*ret = (struct fuse_entry_out){.nodeid = n->id};
	valid(tell(fs, n, stx, l, &ret->attr), &ret->attr_valid,
		&ret->attr_valid_nsec);
	valid(lease_entry_ms(fs, l), &ret->entry_valid, &ret->entry_valid_nsec);
}

/* The directory of the exports: made up, owned by root, never changes. */
void fill_root(const struct fs *fs, struct fuse_attr *ret)
{
	*ret = (struct fuse_attr){
		.ino = FUSE_ROOT_ID,
		.mode = S_IFDIR | 0555,
		.nlink = 2,
		.blksize = 4096,
	};
}

/* -- GETATTR -- */

static int reply_root(struct req *rq)
{
	struct fuse_attr_out out = {.attr_valid = 3600};

	fill_root(rq->fs, &out.attr);
	req_reply(rq, &out, sizeof(out));
	return 0;
}

static int stat_handle(struct req *rq, uint64_t fh, struct statx *ret)
{
	_cleanup_href_ struct href h = {rq->fs, NULL};

	if (href_get(&h, fh) < 0)
		return -EBADF;
	return h.h->node->id == rq->head.nodeid ? fd_stat(h.h->fd, ret)
						: -EBADF;
}

int op_getattr(struct req *rq)
{
	const struct fuse_getattr_in *in = rq->arg;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	struct fuse_attr_out out;
	struct statx stx;
	struct lease l;
	int e;

	if (rq->head.nodeid == FUSE_ROOT_ID)
		return reply_root(rq);
	e = nref_get(&n, rq->head.nodeid);
	if (e < 0)
		return e;
	l = lease_node(&n);
	if (in->getattr_flags & FUSE_GETATTR_FH)
		e = stat_handle(rq, in->fh, &stx);
	else
		e = nref_stat(&n, &stx);
	if (e < 0)
		return e;
	fill_attr(rq->fs, n.node, &stx, &l, &out);
	req_reply(rq, &out, sizeof(out));
	return 0;
}

/* -- SETATTR -- */

static int set_mode(struct fs *fs, int fd, uint32_t mode)
{
	char name[16];

	/* A symlink's own inode says EOPNOTSUPP here, as it should. */
	return fchmodat(fs->proc_fd, fd_name(fd, name), mode & 07777, 0) < 0
		? -errno
		: 0;
}

/*
 * Every file has the owner it has: the caller's user can give nothing away.
 * What anybody in the guest makes belongs to the caller, root's files too, so
 * giving a file of the caller to its user or to root changes nothing and
 * succeeds (root's tar, cp -a and npm do it all the time); so does giving any
 * file to whom it shows already. The host still sees a chown, so that set-id
 * bits and ctime move.
 */
static bool same_owner(uint32_t asked, uint32_t shown, uint32_t user)
{
	return asked == shown || (asked == 0 && shown == user);
}

static int set_owner(struct fs *fs, int fd, const struct fuse_setattr_in *in)
{
	const struct fs_config *c = &fs->config;
	struct statx stx;
	int e = fd_stat(fd, &stx);

	if (e < 0)
		return e;
	if ((in->valid & FATTR_UID) &&
		!same_owner(
			in->uid, uid_to_guest(fs, stx.stx_uid), c->guest_uid))
		return -EPERM;
	if ((in->valid & FATTR_GID) &&
		!same_owner(
			in->gid, gid_to_guest(fs, stx.stx_gid), c->guest_gid))
		return -EPERM;
	return fchownat(fd, "", (uid_t)-1, (gid_t)-1,
		       AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0
		? -errno
		: 0;
}

static struct timespec time_arg(uint32_t valid_bits, uint32_t set, uint32_t now,
	uint64_t s, uint32_t ns)
{
	if (!(valid_bits & set))
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	if (valid_bits & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	/* Nothing but a real time: UTIME_NOW and _OMIT are above this. */
	return (struct timespec){
		.tv_sec = (time_t)s, .tv_nsec = MIN(ns, 999999999u)};
}

static int set_times(int fd, const struct fuse_setattr_in *in)
{
	struct timespec ts[2] = {
		time_arg(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime,
			in->atimensec),
		time_arg(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime,
			in->mtimensec),
	};

	return utimensat(fd, "", ts, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_size(struct req *rq, int fd, const struct fuse_setattr_in *in)
{
	_cleanup_href_ struct href h = {rq->fs, NULL};
	_cleanup_close_ int own = -1;

	if (in->size > INT64_MAX)
		return -EFBIG;
	if (in->valid & FATTR_FH) {
		int e = href_get(&h, in->fh);

		if (e < 0)
			return e;
		if (h.h->node->id != rq->head.nodeid)
			return -EBADF;
		return ftruncate(h.h->fd, (off_t)in->size) < 0 ? -errno : 0;
	}
	own = fd_reopen(rq->fs, fd, O_WRONLY);
	if (own < 0)
		return own;
	return ftruncate(own, (off_t)in->size) < 0 ? -errno : 0;
}

static int set_all(struct req *rq, int fd, const struct fuse_setattr_in *in)
{
	int e = 0;

	if (in->valid & FATTR_MODE)
		e = set_mode(rq->fs, fd, in->mode);
	if (e == 0 && (in->valid & (FATTR_UID | FATTR_GID)))
		e = set_owner(rq->fs, fd, in);
	if (e == 0 && (in->valid & FATTR_SIZE))
		e = set_size(rq, fd, in);
	if (e == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
		e = set_times(fd, in);
	return e;
}

int op_setattr(struct req *rq)
{
	const struct fuse_setattr_in *in = rq->arg;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_change_ struct change ch = {0};
	struct fuse_attr_out out;
	struct statx stx;
	struct lease l;
	bool same;
	int e;

	e = nref_get(&n, rq->head.nodeid);
	if (e < 0)
		return e;
	if (node_is_ro(rq->fs, n.node))
		return -EROFS;
	e = nref_fd_named(&n);
	/* Replaced on the host while open here: an fchmod() means the file. */
	if (e == -ESTALE && nref_fd(&n) == 0)
		e = 0;
	if (e < 0)
		return e;
	ch = change_begin(rq->fs, n.node, CHANGE_DATA);
	l = lease_node(&n);
	l.own = 1;
	e = fd_stat(n.fd, &stx);
	same = e == 0 && own_ctime_begin(rq->fs, n.node, &stx);
	if (e == 0)
		e = set_all(rq, n.fd, in);
	if (e == 0)
		e = fd_stat(n.fd, &stx);
	if (e < 0)
		return e;
	if (same)
		own_ctime_end(rq->fs, n.node, &stx);
	fill_attr(rq->fs, n.node, &stx, &l, &out);
	req_reply(rq, &out, sizeof(out));
	return 0;
}

/* -- STATFS -- */

int op_statfs(struct req *rq)
{
	uint64_t id = rq->head.nodeid;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	struct fuse_statfs_out out = {0};
	struct statvfs v;
	int e;

	if (id == FUSE_ROOT_ID && rq->fs->n_exports)
		id = rq->fs->exports[0].node->id;
	e = nref_get(&n, id);
	if (e == 0)
		e = nref_fd(&n);
	if (e < 0)
		return e;
	if (fstatvfs(n.fd, &v) < 0)
		return -errno;
	out.st.blocks = v.f_blocks;
	out.st.bfree = v.f_bfree;
	out.st.bavail = v.f_bavail;
	out.st.files = v.f_files;
	out.st.ffree = v.f_ffree;
	out.st.bsize = (uint32_t)v.f_bsize;
	out.st.frsize = (uint32_t)v.f_frsize;
	out.st.namelen = MIN((uint32_t)v.f_namemax, FS_NAME_MAX);
	req_reply(rq, &out, sizeof(out));
	return 0;
}
