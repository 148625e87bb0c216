/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* copy_file_range() and fallocate() hold a worker: in pieces, then. */
#define COPY_MAX (128u * 1024u * 1024u)
#define CREATE_TRIES 8

/*
 * The guest's open flags that mean something to the host. O_APPEND is applied
 * to each WRITE instead: pages that the guest writes back have their own
 * offsets. O_DIRECT has alignment rules that guest memory need not meet.
 */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC)

static bool opens_for_write(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* Registers the open file at fd (taken) and appends the open reply. */
static int reply_open(struct req *rq, struct node *n, int fd,
	const struct statx *stx, const struct lease *l)
{
	struct fuse_open_out out = {0};
	int e = handle_add(rq->fs, n, fd, &out.fh);

	if (e < 0)
		return e;
	if (pages_kept(rq->fs, n, stx, l))
		out.open_flags = FOPEN_KEEP_CACHE;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

int op_open(struct req *rq)
{
	const struct fuse_open_in *in = rq->arg;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_close_ int fd = -1;
	_cleanup_change_ struct change ch = {0};
	struct statx stx;
	struct lease l;
	int e = nref_get(&n, rq->head.nodeid);

	if (e < 0)
		return e;
	if (n.node->type != S_IFREG)
		return n.node->type == S_IFDIR ? -EISDIR : -ENXIO;
	if (opens_for_write(in->flags) && node_is_ro(rq->fs, n.node))
		return -EROFS;
	l = lease_node(&n);
	e = nref_fd_named(&n);
	if (e < 0)
		return e;
	if (in->flags & O_TRUNC)
		ch = change_begin(rq->fs, n.node, CHANGE_DATA);
	e = fd = fd_reopen(rq->fs, n.fd, (int)in->flags & OPEN_FLAGS);
	if (e < 0)
		return e;
	e = fd_stat(fd, &stx);
	if (e < 0)
		return e;
	ch.done = in->flags & O_TRUNC;
	return reply_open(rq, n.node, TAKE_FD(fd), &stx, &l);
}

/* -- CREATE -- */

static int create_new(
	int dirfd, const char *name, uint32_t flags, uint32_t mode)
{
	struct open_how how = {
		.flags = (flags & OPEN_FLAGS & ~(uint32_t)O_TRUNC) | O_CREAT |
			O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
		.mode = mode & 07777,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
			RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* A file that appeared since the guest looked: only if it is a regular one. */
static int open_existing(const struct fs *fs, const struct nref *dir,
	const char *name, uint32_t flags)
{
	_cleanup_close_ int fd = child_open(dir, name);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return fd_reopen(fs, fd, (int)(flags & OPEN_FLAGS));
}

static int create_or_open(const struct fs *fs, const struct nref *dir,
	const char *name, const struct fuse_create_in *in)
{
	for (int i = 0; i < CREATE_TRIES; i++) {
		int fd = create_new(dir->fd, name, in->flags, in->mode);

		if (fd != -EEXIST || (in->flags & O_EXCL)) {
			if (fd != -EAGAIN)
				return fd;
			continue; /* BENEATH raced with a rename */
		}
		fd = open_existing(fs, dir, name, in->flags);
		if (fd != -ENOENT)
			return fd;
	}
	return -EBUSY;
}

int op_create(struct req *rq)
{
	const struct fuse_create_in *in = rq->arg;
	const char *name = rq->name[0];
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_close_ int fd = -1;
	_cleanup_change_ struct change ch = {0};
	struct fuse_entry_out out;
	struct statx stx;
	struct lease l;
	int e = nref_dir(&dir, rq->head.nodeid);

	if (e < 0)
		return e;
	l = lease_child(&dir, name);
	ch = change_begin(rq->fs, dir.node, CHANGE_DATA);
	e = fd = create_or_open(rq->fs, &dir, name, in);
	if (e >= 0)
		e = fd_stat(fd, &stx);
	if (e == 0)
		e = node_enter(&dir, name, &stx, &n.node);
	if (e < 0)
		return e;
	ch.done = true;
	fill_entry(rq->fs, n.node, &stx, &l, &out);
	req_reply(rq, &out, sizeof(out));
	e = reply_open(rq, n.node, TAKE_FD(fd), &stx, &l);
	if (e < 0)
		node_forget(rq->fs, out.nodeid, 1);
	return e;
}

int op_tmpfile(struct req *rq)
{
	const struct fuse_create_in *in = rq->arg;
	_cleanup_nref_ struct nref dir = nref_of(rq->fs);
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_close_ int fd = -1;
	struct fuse_entry_out out;
	struct statx stx;
	struct lease l = {0};
	int e = nref_dir(&dir, rq->head.nodeid);

	if (e < 0)
		return e;
	fd = openat(dir.fd, ".",
		O_TMPFILE | O_CLOEXEC | (int)(in->flags & (O_ACCMODE | O_EXCL)),
		in->mode & 07777);
	if (fd < 0)
		return -errno;
	e = fd_stat(fd, &stx);
	if (e == 0)
		e = node_nameless(&dir, fd, &stx, &n.node);
	if (e < 0)
		return e;
	fill_entry(rq->fs, n.node, &stx, &l, &out);
	req_reply(rq, &out, sizeof(out));
	e = reply_open(rq, n.node, TAKE_FD(fd), &stx, &l);
	if (e < 0)
		node_forget(rq->fs, out.nodeid, 1);
	return e;
}

int op_release(struct req *rq)
{
	const struct fuse_release_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	int e = href_get(&h, in->fh);

	if (e == 0)
		handle_close(rq->fs, h.h);
	return e;
}

/* -- data -- */

int op_read(struct req *rq)
{
	const struct fuse_read_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	size_t want = MIN(MIN(in->size, rq->out_space), FS_IO_MAX);
	size_t n;
	ssize_t len;
	int e = href_get(&h, in->fh);

	if (e < 0)
		return e;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	n = iov_slice(rq->out, rq->n_out, sizeof(struct fuse_out_header), want,
		rq->w->iov, FS_IOV_MAX);
	len = preadv(h.h->fd, rq->w->iov, (int)n, (off_t)in->offset);
	if (len < 0)
		return -errno;
	rq->in_place = true;
	rq->out_len = (size_t)len;
	return 0;
}

int op_write(struct req *rq)
{
	const struct fuse_write_in *in = rq->arg;
	size_t skip = sizeof(rq->head) + sizeof(*in);
	_cleanup_href_ struct href h = {rq->fs, NULL};
	struct fuse_write_out out = {0};
	_cleanup_change_ struct change ch = {0};
	/* Pages from the guest's cache carry their own offsets. */
	bool append =
		(in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE);
	ssize_t len;
	size_t n;
	int e = href_get(&h, in->fh);

	if (e < 0)
		return e;
	if (in->size > FS_IO_MAX || in->size > rq->head.len - skip ||
		in->offset > INT64_MAX || h.h->node->id != rq->head.nodeid)
		return -EINVAL;
	n = iov_slice(rq->in, rq->n_in, skip, in->size, rq->w->iov, FS_IOV_MAX);
	ch = change_begin(rq->fs, h.h->node, CHANGE_DATA);
	len = pwritev2(h.h->fd, rq->w->iov, (int)n, (off_t)in->offset,
		append ? RWF_APPEND : 0);
	if (len < 0)
		return -errno;
	ch.done = true;
	out.size = (uint32_t)len;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

int op_fsync(struct req *rq)
{
	const struct fuse_fsync_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	int e = href_get(&h, in->fh);

	if (e < 0)
		return e;
	if (in->fsync_flags & FUSE_FSYNC_FDATASYNC)
		e = fdatasync(h.h->fd);
	else
		e = fsync(h.h->fd);
	return e < 0 ? -errno : 0;
}

int op_fallocate(struct req *rq)
{
	const struct fuse_fallocate_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	_cleanup_change_ struct change ch = {0};
	int e = href_get(&h, in->fh);

	if (e < 0)
		return e;
	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EFBIG;
	if (h.h->node->id != rq->head.nodeid)
		return -EBADF;
	ch = change_begin(rq->fs, h.h->node, CHANGE_DATA);
	if (fallocate(h.h->fd, (int)in->mode, (off_t)in->offset,
		    (off_t)in->length) < 0)
		return -errno;
	ch.done = true;
	return 0;
}

int op_lseek(struct req *rq)
{
	const struct fuse_lseek_in *in = rq->arg;
	_cleanup_href_ struct href h = {rq->fs, NULL};
	struct fuse_lseek_out out;
	off_t off;
	int e = href_get(&h, in->fh);

	if (e < 0)
		return e;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	if (in->offset > INT64_MAX)
		return -ENXIO;
	/* The descriptor's own position is never used otherwise. */
	off = lseek(h.h->fd, (off_t)in->offset, (int)in->whence);
	if (off < 0)
		return -errno;
	out.offset = (uint64_t)off;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

int op_copy_file_range(struct req *rq)
{
	const struct fuse_copy_file_range_in *in = rq->arg;
	_cleanup_href_ struct href from = {rq->fs, NULL};
	_cleanup_href_ struct href to = {rq->fs, NULL};
	struct fuse_write_out out = {0};
	_cleanup_change_ struct change ch = {0};
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;
	ssize_t len;
	int e = href_get(&from, in->fh_in);

	if (e == 0)
		e = href_get(&to, in->fh_out);
	if (e < 0)
		return e;
	if (in->flags || off_in < 0 || off_out < 0 ||
		to.h->node->id != in->nodeid_out)
		return -EINVAL;
	ch = change_begin(rq->fs, to.h->node, CHANGE_DATA);
	len = copy_file_range(from.h->fd, &off_in, to.h->fd, &off_out,
		MIN(in->len, COPY_MAX), 0);
	if (len < 0)
		return -errno;
	ch.done = true;
	out.size = (uint32_t)len;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

static int sync_one(struct fs *fs, struct node *n)
{
	_cleanup_nref_ struct nref r = nref_of(fs);
	_cleanup_close_ int fd = -1;
	int e;

	r.node = node_ref(fs, n);
	e = nref_fd(&r);
	if (e < 0)
		return e;
	e = fd = fd_reopen(fs, r.fd, O_RDONLY);
	if (e < 0)
		return e;
	return syncfs(fd) < 0 ? -errno : 0;
}

int op_syncfs(struct req *rq)
{
	int e = 0;

	for (unsigned i = 0; i < rq->fs->n_exports; i++) {
		const struct export *x = &rq->fs->exports[i];

		if (!(x->flags & AMF_RO) && e == 0)
			e = sync_one(rq->fs, x->node);
	}
	return e;
}
