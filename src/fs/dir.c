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

int op_opendir(struct req *rq)
{
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_close_ int fd = -1;
	struct fuse_open_out out = {0};
	struct statx stx;
	struct lease l;
	int e;

	if (rq->head.nodeid == FUSE_ROOT_ID) {
		n.node = node_get(rq->fs, FUSE_ROOT_ID);
	} else {
		e = nref_dir(&n, rq->head.nodeid);
		if (e < 0)
			return e;
		l = lease_node(&n);
		e = fd = fd_reopen(rq->fs, n.fd, O_RDONLY | O_DIRECTORY);
		if (e >= 0)
			e = fd_stat(fd, &stx);
		if (e < 0)
			return e;
		out.open_flags = FOPEN_CACHE_DIR;
		if (pages_kept(rq->fs, n.node, &stx, &l))
			out.open_flags |= FOPEN_KEEP_CACHE;
	}
	e = handle_add(rq->fs, n.node, TAKE_FD(fd), true, &out.fh);
	if (e < 0)
		return e;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

int op_releasedir(struct req *rq)
{
	const struct fuse_release_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	int e = href_get(&h, in->fh, true);

	if (e == 0)
		handle_close(rq->fs, h.h);
	return e;
}

int op_fsyncdir(struct req *rq)
{
	const struct fuse_fsync_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	int e = href_get(&h, in->fh, true);

	if (e < 0 || h.h->fd < 0)
		return e;
	return fsync(h.h->fd) < 0 ? -errno : 0;
}

/* -- the listing -- */

/* One READDIR being answered. */
struct listing {
	struct req *rq;
	struct nref dir; /* fd is the open handle's, not owned */
	size_t space;
	bool plus;
};

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

static int list_host(struct listing *ls, uint64_t off)
{
	struct req *rq = ls->rq;
	uint64_t mix = rq->fs->volumes[ls->dir.node->volume].mix;
	int fd = ls->dir.fd;

	if (lseek(fd, (off_t)off, SEEK_SET) < 0)
		return -errno;
	for (;;) {
		long n = syscall(
			SYS_getdents64, fd, rq->w->dents, dents_want(ls));

		if (n < 0)
			return rq->out_len ? 0 : -errno;
		if (n == 0)
			return 0;
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

static int list(struct req *rq, bool plus)
{
	const struct fuse_read_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	struct listing ls = {.rq = rq, .plus = plus, .dir = nref_of(rq->fs)};
	int e = href_get(&h, in->fh, true);

	if (e < 0)
		return e;
	if (h.h->node->id != rq->head.nodeid || in->offset > INT64_MAX)
		return -EINVAL;
	ls.space = MIN(MIN(in->size, rq->out_space), sizeof(rq->w->out));
	if (h.h->fd < 0) {
		list_exports(&ls, in->offset);
		return 0;
	}
	/* Borrowed from the handle, which outlives the listing. */
	ls.dir.node = h.h->node;
	ls.dir.fd = h.h->fd;
	return list_host(&ls, in->offset);
}

int op_readdir(struct req *rq)
{
	return list(rq, false);
}

int op_readdirplus(struct req *rq)
{
	return list(rq, true);
}
