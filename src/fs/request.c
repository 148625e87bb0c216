/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define OP_ROOT 1u  /* knows what to do with the directory of exports */
#define OP_DATA 2u  /* only the fixed part is copied in */
#define OP_WRITE 4u /* refused on read-only exports */

struct op {
	int (*fn)(struct req *rq);
	uint16_t fixed; /* bytes before the names */
	uint8_t names;  /* components: no '/', not "." or ".." */
	uint8_t texts;  /* strings after the names */
	uint8_t flags;
};

/*
 * What is not here gets -ENOSYS, and the guest's kernel never asks again.
 * OPENDIR is not, on purpose: the kernel then keeps listings by itself, for as
 * long as the directory's mtime stays the same (lease.c, told_set()).
 */
static const struct op ops[] = {
	[FUSE_LOOKUP] = {op_lookup, 0, 1, 0, OP_ROOT},
	[FUSE_FORGET] = {op_forget, sizeof(struct fuse_forget_in), 0, 0,
		OP_ROOT},
	[FUSE_BATCH_FORGET] = {op_batch_forget,
		sizeof(struct fuse_batch_forget_in), 0, 0, OP_ROOT},
	[FUSE_GETATTR] = {op_getattr, sizeof(struct fuse_getattr_in), 0, 0,
		OP_ROOT},
	[FUSE_SETATTR] = {op_setattr, sizeof(struct fuse_setattr_in), 0, 0,
		OP_WRITE},
	[FUSE_READLINK] = {op_readlink, 0, 0, 0, 0},
	[FUSE_SYMLINK] = {op_symlink, 0, 1, 1, OP_WRITE},
	[FUSE_MKNOD] = {op_mknod, sizeof(struct fuse_mknod_in), 1, 0, OP_WRITE},
	[FUSE_MKDIR] = {op_mkdir, sizeof(struct fuse_mkdir_in), 1, 0, OP_WRITE},
	[FUSE_UNLINK] = {op_unlink, 0, 1, 0, OP_WRITE},
	[FUSE_RMDIR] = {op_rmdir, 0, 1, 0, OP_WRITE},
	[FUSE_RENAME] = {op_rename, sizeof(struct fuse_rename_in), 2, 0,
		OP_WRITE},
	[FUSE_RENAME2] = {op_rename2, sizeof(struct fuse_rename2_in), 2, 0,
		OP_WRITE},
	[FUSE_LINK] = {op_link, sizeof(struct fuse_link_in), 1, 0, OP_WRITE},
	[FUSE_OPEN] = {op_open, sizeof(struct fuse_open_in), 0, 0, 0},
	[FUSE_CREATE] = {op_create, sizeof(struct fuse_create_in), 1, 0,
		OP_WRITE},
	/* The name of an O_TMPFILE request is "/": it means nothing. */
	[FUSE_TMPFILE] = {op_tmpfile, sizeof(struct fuse_create_in), 0, 0,
		OP_WRITE},
	[FUSE_READ] = {op_read, sizeof(struct fuse_read_in), 0, 0, 0},
	[FUSE_WRITE] = {op_write, sizeof(struct fuse_write_in), 0, 0,
		OP_DATA | OP_WRITE},
	[FUSE_STATFS] = {op_statfs, 0, 0, 0, OP_ROOT},
	[FUSE_RELEASE] = {op_release, sizeof(struct fuse_release_in), 0, 0, 0},
	[FUSE_FSYNC] = {op_fsync, sizeof(struct fuse_fsync_in), 0, 0, 0},
	[FUSE_SETXATTR] = {op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0, 1,
		OP_WRITE},
	[FUSE_GETXATTR] = {op_getxattr, sizeof(struct fuse_getxattr_in), 0, 1,
		OP_ROOT},
	[FUSE_LISTXATTR] = {op_listxattr, sizeof(struct fuse_getxattr_in), 0, 0,
		OP_ROOT},
	[FUSE_REMOVEXATTR] = {op_removexattr, 0, 0, 1, OP_WRITE},
	[FUSE_READDIR] = {op_readdir, sizeof(struct fuse_read_in), 0, 0,
		OP_ROOT},
	[FUSE_READDIRPLUS] = {op_readdirplus, sizeof(struct fuse_read_in), 0, 0,
		OP_ROOT},
	[FUSE_FSYNCDIR] = {op_fsyncdir, sizeof(struct fuse_fsync_in), 0, 0,
		OP_ROOT},
	[FUSE_FALLOCATE] = {op_fallocate, sizeof(struct fuse_fallocate_in), 0,
		0, OP_WRITE},
	[FUSE_LSEEK] = {op_lseek, sizeof(struct fuse_lseek_in), 0, 0, 0},
	[FUSE_COPY_FILE_RANGE] = {op_copy_file_range,
		sizeof(struct fuse_copy_file_range_in), 0, 0, 0},
	[FUSE_SYNCFS] = {op_syncfs, sizeof(struct fuse_syncfs_in), 0, 0,
		OP_ROOT},
};

/* -- guest memory -- */

static size_t iov_total(const struct iovec *iov, size_t n)
{
	size_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (!add_ok(sum, iov[i].iov_len, &sum))
			return 0;
	return sum;
}

static size_t iov_read(
	const struct iovec *iov, size_t n, size_t off, void *dst, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len;

		if (off >= part) {
			off -= part;
			continue;
		}
		part = MIN(part - off, len - done);
		memcpy((uint8_t *)dst + done, (uint8_t *)iov[i].iov_base + off,
			part);
		done += part;
		off = 0;
	}
	return done;
}

static void iov_write(const struct iovec *iov, size_t n, size_t off,
	const void *src, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len;

		if (off >= part) {
			off -= part;
			continue;
		}
		part = MIN(part - off, len - done);
		memcpy((uint8_t *)iov[i].iov_base + off,
			(const uint8_t *)src + done, part);
		done += part;
		off = 0;
	}
}

size_t iov_slice(const struct iovec *from, size_t n, size_t off, size_t len,
	struct iovec *to, size_t max)
{
	size_t used = 0;

	for (size_t i = 0; i < n && len && used < max; i++) {
		size_t part = from[i].iov_len;

		if (off >= part) {
			off -= part;
			continue;
		}
		part = MIN(part - off, len);
		to[used++] =
			(struct iovec){(uint8_t *)from[i].iov_base + off, part};
		len -= part;
		off = 0;
	}
	return used;
}

void req_reply(struct req *rq, const void *p, size_t len)
{
	assert(rq->out_len + len <= sizeof(rq->w->out));
	memcpy(rq->w->out + rq->out_len, p, len);
	rq->out_len += len;
}

/* -- checking -- */

static bool component_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= FS_NAME_MAX && !strchr(name, '/') &&
		!streq(name, ".") && !streq(name, "..");
}

/* Cuts the strings out of the copied argument. */
static int parse_strings(struct req *rq, const struct op *op)
{
	for (unsigned i = 0; i < op->names + op->texts; i++) {
		size_t len = strnlen((const char *)rq->tail, rq->tail_len);

		if (len == rq->tail_len)
			return -EINVAL; /* no NUL within bounds */
		rq->name[i] = (const char *)rq->tail;
		rq->tail += len + 1;
		rq->tail_len -= len + 1;
		if (i >= op->names)
			continue;
		if (len > FS_NAME_MAX)
			return -ENAMETOOLONG;
		if (!component_ok(rq->name[i]))
			return -EINVAL;
	}
	return 0;
}

static int parse(struct req *rq, const struct op *op)
{
	size_t body = rq->head.len - sizeof(rq->head);
	size_t want = op->flags & OP_DATA ? op->fixed : body;

	if (body < op->fixed || want > sizeof(rq->w->arg))
		return -EINVAL;
	rq->arg = rq->w->arg;
	rq->arg_len =
		iov_read(rq->in, rq->n_in, sizeof(rq->head), rq->w->arg, want);
	rq->tail = rq->w->arg + op->fixed;
	rq->tail_len = want - op->fixed;
	return parse_strings(rq, op);
}

/* The read-only rule is enforced here, for the node in the header. */
static int check_node(struct req *rq, const struct op *op)
{
	struct node *n;
	bool ro;

	if (rq->head.nodeid == FUSE_ROOT_ID && !(op->flags & OP_ROOT))
		return op->flags & OP_WRITE ? -EROFS : -EISDIR;
	if (!(op->flags & OP_WRITE))
		return 0;
	n = node_get(rq->fs, rq->head.nodeid);
	if (!n)
		return -ESTALE;
	ro = node_is_ro(rq->fs, n);
	node_put(rq->fs, n);
	return ro ? -EROFS : 0;
}

static int dispatch(struct req *rq)
{
	const struct op *op;
	int e;

	if (rq->head.opcode >= ARRAY_SIZE(ops) || !ops[rq->head.opcode].fn)
		return -ENOSYS;
	if (!rq->fs->ready)
		return -ENOTCONN;
	op = &ops[rq->head.opcode];
	e = parse(rq, op);
	if (e < 0) {
		atomic_fetch_add(&rq->fs->n_refused, 1);
		return e;
	}
	e = check_node(rq, op);
	return e < 0 ? e : op->fn(rq);
}

/* -- the session -- */

#define INIT_FLAGS                                                             \
	(FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC |             \
		FUSE_PARALLEL_DIROPS | FUSE_AUTO_INVAL_DATA |                  \
		FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | \
		FUSE_HANDLE_KILLPRIV_V2 | FUSE_MAX_PAGES |                     \
		FUSE_CACHE_SYMLINKS)

static int op_init(struct req *rq)
{
	struct fuse_init_in in = {0};
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = FS_IO_MAX,
		.time_gran = 1,
		.max_pages = FS_IO_MAX / 4096,
	};
	size_t len = rq->head.len - sizeof(rq->head);

	if (len < offsetof(struct fuse_init_in, flags2))
		return -EINVAL;
	iov_read(rq->in, rq->n_in, sizeof(rq->head), &in, MIN(len, sizeof(in)));
	/* 7.31, Linux 5.4: the first with virtio-fs. */
	if (in.major != FUSE_KERNEL_VERSION || in.minor < 31)
		return -EPROTO;
	fs_drop(rq->fs);
	rq->fs->ready = true;
	out.minor = MIN(in.minor, out.minor);
	out.max_readahead = in.max_readahead;
	out.flags = in.flags & INIT_FLAGS;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

/* Requests that change the session run alone. */
static int run(struct req *rq)
{
	struct fs *fs = rq->fs;
	int e = 0;

	if (rq->head.opcode == FUSE_INIT || rq->head.opcode == FUSE_DESTROY) {
		pthread_rwlock_wrlock(&fs->session);
		if (rq->head.opcode == FUSE_INIT)
			e = op_init(rq);
		else
			fs_drop(fs);
	} else {
		pthread_rwlock_rdlock(&fs->session);
		e = dispatch(rq);
	}
	pthread_rwlock_unlock(&fs->session);
	return e;
}

static bool never_answered(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET ||
		opcode == FUSE_INTERRUPT || opcode == FUSE_NOTIFY_REPLY;
}

static size_t answer(struct req *rq, int e)
{
	struct fuse_out_header head = {.unique = rq->head.unique};

	if (e == 0 && rq->out_len > rq->out_space)
		e = -ERANGE; /* the driver left no room for this reply */
	head.error = e;
	if (e < 0)
		rq->out_len = 0;
	head.len = (uint32_t)(sizeof(head) + rq->out_len);
	iov_write(rq->out, rq->n_out, 0, &head, sizeof(head));
	if (!rq->in_place)
		iov_write(rq->out, rq->n_out, sizeof(head), rq->w->out,
			rq->out_len);
	return head.len;
}

size_t fs_request(struct fs *fs, unsigned worker, const struct iovec *in,
	size_t n_in, const struct iovec *out, size_t n_out)
{
	struct req rq = {
		.fs = fs, .in = in, .n_in = n_in, .out = out, .n_out = n_out};
	size_t in_len = iov_total(in, n_in);
	size_t out_len = iov_total(out, n_out);
	int e;

	assert(worker < fs->config.n_workers);
	rq.w = &fs->workers[worker];
	atomic_fetch_add_explicit(&fs->n_requests, 1, memory_order_relaxed);
	if (n_in > FS_IOV_MAX || n_out > FS_IOV_MAX ||
		iov_read(in, n_in, 0, &rq.head, sizeof(rq.head)) <
			sizeof(rq.head) ||
		rq.head.len < sizeof(rq.head) || rq.head.len > in_len) {
		atomic_fetch_add(&fs->n_refused, 1);
		return 0;
	}
	if (out_len >= sizeof(struct fuse_out_header))
		rq.out_space = out_len - sizeof(struct fuse_out_header);
	else if (!never_answered(rq.head.opcode))
		return 0;
	e = run(&rq);
	return never_answered(rq.head.opcode) ? 0 : answer(&rq, e);
}
