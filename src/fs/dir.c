/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

/* Smallest buffer that surely takes one host entry. */
#define DENTS_MIN 512u

struct dent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

/*
 * The guest sends READDIR without an open directory behind it. One that is
 * being listed keeps its descriptor, with the position in it, until the end:
 * some host file systems (overlayfs, tmpfs before Linux 6.6) count positions
 * and would lose the place when names go away meanwhile.
 */
static int lister_take(struct req *rq, struct nref *n, uint64_t off)
{
	struct fs *fs = rq->fs;
	int fd = -1;

	fs_lock(fs);
	for (unsigned i = 0; i < LISTERS && fd < 0; i++)
		if (fs->lister[i].fd >= 0 && fs->lister[i].node == n->node->id)
			fd = TAKE_FD(fs->lister[i].fd);
	fs_unlock(fs);
	if (fd < 0)
		fd = fd_reopen(fs, n->fd, O_RDONLY | O_DIRECTORY);
	if (fd >= 0 && lseek(fd, (off_t)off, SEEK_SET) < 0) {
		int e = -errno;

		closep(&fd);
		return e;
	}
	return fd;
}

/* The oldest one makes room. */
static void lister_give(struct req *rq, const struct nref *n, int fd)
{
	struct fs *fs = rq->fs;
	_cleanup_close_ int old = -1;
	struct lister *l;

	fs_lock(fs);
	l = &fs->lister[fs->next_lister++ % LISTERS];
	old = l->fd;
	l->fd = fd;
	l->node = n->node->id;
	fs_unlock(fs);
}

void lister_drop_all(struct fs *fs)
{
	for (unsigned i = 0; i < LISTERS; i++)
		closep(&fs->lister[i].fd);
}

int op_fsyncdir(struct req *rq)
{
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_close_ int fd = -1;
	int e;

	if (rq->head.nodeid == FUSE_ROOT_ID)
		return 0;
	e = nref_dir(&n, rq->head.nodeid);
	if (e < 0)
		return e;
	e = fd = fd_reopen(rq->fs, n.fd, O_RDONLY | O_DIRECTORY);
	if (e < 0)
		return e;
	return fsync(fd) < 0 ? -errno : 0;
}

/* -- the listing -- */

/* One READDIR being answered. */
struct listing {
	struct req *rq;
	struct nref dir;
	size_t space;
	bool plus;
};

static void listing_done(struct listing *ls)
{
	nref_done(&ls->dir);
}

/* What the entry tells besides its name; all zero is "look it up yourself". */
static bool describe(
	struct listing *ls, const char *name, struct fuse_entry_out *ret)
{
	struct lease l;
	struct statx stx = {0};

	*ret = (struct fuse_entry_out){0};
	if (streq(name, ".") || streq(name, ".."))
		return true;
	l = lease_child(&ls->dir, name);
	if (name_stat(ls->dir.fd, name, &stx) == -ENOENT)
		return false;
	/* On any other trouble the guest's own LOOKUP will hear of it. */
	if (stx.stx_mask == 0 || entry_of(&ls->dir, name, &stx, &l, ret) < 0)
		*ret = (struct fuse_entry_out){0};
	return true;
}

static size_t entry_size(const struct listing *ls, size_t name_len)
{
	size_t head = ls->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;

	return FUSE_DIRENT_ALIGN(head + name_len);
}

/* False when the reply is full. */
static bool emit(struct listing *ls, const char *name, uint64_t ino,
	uint64_t off, uint32_t type)
{
	static const uint8_t zero[8];
	struct req *rq = ls->rq;
	size_t len = strlen(name);
	size_t size = entry_size(ls, len);
	size_t start = rq->out_len;
	struct fuse_dirent d = {
		.ino = ino, .off = off, .namelen = (uint32_t)len, .type = type};
	struct fuse_entry_out entry = {0};

	if (start + size > ls->space)
		return false;
	if (ls->plus) {
		if (ls->dir.node && !describe(ls, name, &entry))
			return true; /* gone meanwhile */
		req_reply(rq, &entry, sizeof(entry));
	}
	req_reply(rq, &d, FUSE_NAME_OFFSET);
	req_reply(rq, name, len);
	req_reply(rq, zero, start + size - rq->out_len);
	return true;
}

/* How much to ask the host for, so that little of it is read twice. */
static size_t dents_want(const struct listing *ls)
{
	size_t want = ls->plus ? ls->space / 5 : ls->space;

	return MIN(MAX(want, DENTS_MIN), sizeof(ls->rq->w->dents));
}

/* Returns 1 when the directory's end was reached. */
static int list_host(struct listing *ls, int fd)
{
	struct req *rq = ls->rq;
	uint64_t mix = rq->fs->volumes[ls->dir.node->volume].mix;

	for (;;) {
		long n = syscall(
			SYS_getdents64, fd, rq->w->dents, dents_want(ls));

		if (n < 0)
			return rq->out_len ? 0 : -errno;
		if (n == 0)
			return rq->out_len ? 0 : 1;
		for (long at = 0; at < n;) {
			const struct dent64 *d =
				(const void *)(rq->w->dents + at);

			at += d->d_reclen;
			if (!emit(ls, d->d_name, d->d_ino ^ mix,
				    (uint64_t)d->d_off, d->d_type))
				return 0;
		}
		/* Anything but the end is worth an answer now. */
		if (rq->out_len > ls->space / 2)
			return 0;
	}
}

static void list_exports(struct listing *ls, uint64_t off)
{
	const struct fs *fs = ls->rq->fs;

	for (uint64_t i = off; i < fs->n_exports + 2; i++) {
		const char *name = i == 0 ? "."
			: i == 1          ? ".."
					  : fs->exports[i - 2].name;

		if (!emit(ls, name, FUSE_ROOT_ID, i + 1,
			    i < 2 ? DT_DIR : DT_UNKNOWN))
			return;
	}
}

static int list_dir(struct listing *ls, uint64_t off)
{
	_cleanup_close_ int fd = -1;
	struct req *rq = ls->rq;
	int e = nref_dir(&ls->dir, rq->head.nodeid);

	/* Removed while it was being listed: nothing is in it. */
	if (e == -ESTALE)
		return -ENOENT;
	if (e < 0)
		return e;
	if (off == 0)
		listing_begins(rq->fs, ls->dir.node);
	e = fd = lister_take(rq, &ls->dir, off);
	if (e < 0)
		return e;
	e = list_host(ls, fd);
	if (e == 0)
		lister_give(rq, &ls->dir, TAKE_FD(fd));
	return MIN(e, 0);
}

static int list(struct req *rq, bool plus)
{
	const struct fuse_read_in *in = rq->arg;
	_cleanup_(listing_done) struct listing ls = {
		.rq = rq, .plus = plus, .dir = nref_of(rq->fs)};

	if (in->offset > INT64_MAX)
		return -EINVAL;
	ls.space = MIN(MIN(in->size, rq->out_space), sizeof(rq->w->out));
	if (rq->head.nodeid == FUSE_ROOT_ID) {
		list_exports(&ls, in->offset);
		return 0;
	}
	return list_dir(&ls, in->offset);
}

int op_readdir(struct req *rq)
{
	return list(rq, false);
}

int op_readdirplus(struct req *rq)
{
	return list(rq, true);
}
