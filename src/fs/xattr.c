/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <errno.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>

/*
 * Only user.* belongs to the guest. security.* and trusted.* mean something to
 * the host's kernel; a file capability set from the guest would be one on the
 * host. The guest's kernel asks for security.capability before a write: there
 * is none.
 */
static bool is_user(const char *name)
{
	return strncmp(name, "user.", 5) == 0;
}

/*
 * An O_PATH descriptor has no fgetxattr(); the path through /proc/self/fd
 * names the inode itself, also a symlink's.
 */
static int open_node(struct req *rq, struct nref *n, char path[32])
{
	int e = nref_get(n, rq->head.nodeid);

	if (e == 0)
		e = nref_fd(n);
	if (e == 0)
		fd_path(n->fd, path);
	return e;
}

static int reply_sized(struct req *rq, uint32_t asked, ssize_t len)
{
	struct fuse_getxattr_out out = {0};

	if (len < 0)
		return -errno;
	if (asked) {
		if ((size_t)len > asked)
			return -ERANGE;
		rq->out_len = (size_t)len;
		return 0;
	}
	out.size = (uint32_t)len;
	rq->out_len = 0;
	req_reply(rq, &out, sizeof(out));
	return 0;
}

int op_getxattr(struct req *rq)
{
	const struct fuse_getxattr_in *in = rq->arg;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	char path[32];
	int e;

	if (streq(rq->name[0], "security.capability"))
		return -ENODATA;
	if (!is_user(rq->name[0]))
		return -EOPNOTSUPP;
	if (rq->head.nodeid == FUSE_ROOT_ID)
		return -ENODATA;
	e = open_node(rq, &n, path);
	if (e < 0)
		return e;
	return reply_sized(rq, in->size,
		getxattr(path, rq->name[0], rq->w->out, XATTR_SIZE_MAX));
}

/* Keeps the names the guest may see, in place. */
static size_t filter_names(char *list, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		size_t one = strnlen(list + at, len - at) + 1;

		one = MIN(one, len - at);
		if (is_user(list + at)) {
			memmove(list + kept, list + at, one);
			kept += one;
		}
		at += one;
	}
	return kept;
}

int op_listxattr(struct req *rq)
{
	const struct fuse_getxattr_in *in = rq->arg;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	char *list = (char *)rq->w->out;
	char path[32];
	ssize_t len;
	int e;

	if (rq->head.nodeid == FUSE_ROOT_ID)
		return reply_sized(rq, in->size, 0);
	e = open_node(rq, &n, path);
	if (e < 0)
		return e;
	len = listxattr(path, list, XATTR_LIST_MAX);
	if (len > 0)
		len = (ssize_t)filter_names(list, (size_t)len);
	return reply_sized(rq, in->size, len);
}

int op_setxattr(struct req *rq)
{
	const struct fuse_setxattr_in *in = rq->arg;
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_change_ struct change ch = {0};
	char path[32];
	int e;

	if (!is_user(rq->name[0]))
		return -EOPNOTSUPP;
	if (in->size != rq->tail_len)
		return -EINVAL;
	e = open_node(rq, &n, path);
	if (e < 0)
		return e;
	ch = change_begin(rq->fs, n.node, CHANGE_CTIME);
	if (setxattr(path, rq->name[0], rq->tail, in->size, (int)in->flags) < 0)
		return -errno;
	ch.done = true;
	return 0;
}

int op_removexattr(struct req *rq)
{
	_cleanup_nref_ struct nref n = nref_of(rq->fs);
	_cleanup_change_ struct change ch = {0};
	char path[32];
	int e;

	if (!is_user(rq->name[0]))
		return -EOPNOTSUPP;
	e = open_node(rq, &n, path);
	if (e < 0)
		return e;
	ch = change_begin(rq->fs, n.node, CHANGE_CTIME);
	if (removexattr(path, rq->name[0]) < 0)
		return -errno;
	ch.done = true;
	return 0;
}
