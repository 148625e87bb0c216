/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

struct layer {
	struct archive *a;
	struct tree *tree;
	struct erofs *erofs;
	const struct layer_opts *opts;
	struct layer_stats *stats;
	layer_read_fn *read;
	void *arg;
	int read_error; /* what the source failed with */
};

int layer_locale(struct err *err)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return err_set(err, ENOENT,
			"the C.UTF-8 locale is missing on this host (package "
			"libc-bin)");
	return 0;
}

/* libarchive's words, cut to what may be shown. */
static int archive_err(const struct layer *l, struct err *err)
{
	const char *why = archive_error_string(l->a);

	if (l->read_error)
		return err_sys(err, -l->read_error, "cannot read the archive");
	return err_set(err, EBADMSG, "the archive is damaged or no tar: %.200s",
		why ? why : "unknown reason");
}

static la_ssize_t feed(struct archive *a, void *arg, const void **ret_p)
{
	struct layer *l = arg;
	ssize_t n = l->read(l->arg, ret_p);

	if (n < 0) {
		l->read_error = (int)n;
		archive_set_error(a, (int)-n, "read failed");
		return -1;
	}
	return n;
}

static void archive_freep(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

static int open_archive(struct layer *l, struct err *err)
{
	/* the order matters to nobody; each returns WARN without its library */
	if (archive_read_support_format_tar(l->a) != ARCHIVE_OK ||
		archive_read_support_filter_gzip(l->a) != ARCHIVE_OK ||
		archive_read_support_filter_xz(l->a) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(l->a) != ARCHIVE_OK)
		return err_set(err, ENOSYS,
			"libarchive lacks gzip, xz or zstd support");
	if (archive_read_open(l->a, l, NULL, feed, NULL) != ARCHIVE_OK)
		return archive_err(l, err);
	return 0;
}

/* The kernel's new_encode_dev(): 12 bits major, 20 bits minor. */
static int encode_dev(dev_t dev, uint32_t *ret, struct err *err)
{
	unsigned int maj = major(dev), min = minor(dev);

	if (maj > 0xfff || min > 0xfffff)
		return err_set(err, ERANGE,
			"the archive has a device number out of range");
	*ret = (min & 0xff) | (maj << 8) | ((min & ~0xffu) << 12);
	return 0;
}

static int set_target(struct layer *l, struct archive_entry *e, struct inode *i,
	struct err *err)
{
	const char *target = archive_entry_symlink(e);
	size_t len = target ? strlen(target) : 0;

	if (len == 0 || len > TREE_PATH_MAX)
		return err_set(err, EINVAL,
			"a symlink in the archive has an empty or too long "
			"target");
	i->target = tree_alloc(l->tree, len + 1, err);
	if (!i->target)
		return -EFBIG;
	memcpy(i->target, target, len);
	return 0;
}

/* overlayfs would take such attributes of a lower layer for its own. */
static bool overlay_attr(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 ||
		strncmp(name, "user.overlay.", 13) == 0;
}

static int set_xattrs(struct layer *l, struct archive_entry *e, struct inode *i,
	struct err *err)
{
	const char *name;
	const void *value;
	size_t len;

	/* ACLs as text (GNU tar --acls); binary ones come as attributes */
	if (archive_entry_acl_types(e))
		l->stats->dropped++;
	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
		int r = -EOPNOTSUPP;

		if (name && !overlay_attr(name))
			r = tree_xattr(l->tree, i, name, value, len, err);
		if (r == -EOPNOTSUPP)
			l->stats->dropped++;
		else if (r < 0)
			return r;
	}
	return 0;
}

static int set_owner(struct archive_entry *e, struct inode *i, struct err *err)
{
	la_int64_t uid = archive_entry_uid(e), gid = archive_entry_gid(e);

	/* UINT32_MAX means "no change" to chown(2): never a real owner */
	if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return err_set(err, ERANGE,
			"the archive has an owner that is no Linux uid");
	i->uid = (uint32_t)uid;
	i->gid = (uint32_t)gid;
	return 0;
}

static int set_type(struct layer *l, struct archive_entry *e, struct inode *i,
	struct err *err)
{
	la_int64_t size = archive_entry_size(e);

	switch (i->mode & S_IFMT) {
	case S_IFREG:
		if (size < 0)
			return err_set(err, EINVAL,
				"a file in the archive has no size");
		i->size = (uint64_t)size;
		return 0;
	case S_IFLNK:
		i->mode = S_IFLNK | 0777;
		return set_target(l, e, i, err);
	case S_IFCHR:
	case S_IFBLK:
		if (!l->opts->devices)
			return err_set(err, EPERM,
				"the archive contains a device node; it is "
				"left out with --skip-devices");
		return encode_dev(archive_entry_rdev(e), &i->rdev, err);
	case S_IFDIR:
	case S_IFIFO:
		return 0;
	default:
		return err_set(err, EINVAL,
			"the archive contains an entry of unknown type");
	}
}

static int make_inode(struct layer *l, struct archive_entry *e,
	struct inode **ret, struct err *err)
{
	uint32_t mode =
		archive_entry_filetype(e) | (archive_entry_perm(e) & 07777u);
	struct inode *i = tree_inode(l->tree, mode, err);
	int r;

	if (!i)
		return -EFBIG;
	if (archive_entry_mtime_is_set(e)) {
		i->mtime = archive_entry_mtime(e);
		i->mtime_nsec = (uint32_t)archive_entry_mtime_nsec(e);
	}
	r = set_owner(e, i, err);
	if (r == 0)
		r = set_type(l, e, i, err);
	if (r == 0)
		r = set_xattrs(l, e, i, err);
	if (r == 0)
		*ret = i;
	return r;
}

static int copy_data(struct layer *l, struct inode *i, struct err *err)
{
	struct erofs_file f;
	int r;

	r = erofs_file_begin(l->erofs, l->tree, i, &f, err);
	if (r < 0)
		return r;
	for (;;) {
		la_int64_t offset = 0;
		const void *p = NULL;
		size_t len = 0;

		r = archive_read_data_block(l->a, &p, &len, &offset);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK || offset < 0)
			return archive_err(l, err);
		r = erofs_file_write(&f, (uint64_t)offset, p, len, err);
		if (r < 0)
			return r;
		l->stats->bytes += len;
	}
}

/* 1 the entry was a whiteout and is done, 0 it is none. */
static int whiteout(struct layer *l, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	_cleanup_free_ char *dir = NULL, *target = NULL;
	int r;

	if (!l->opts->whiteouts || strncmp(name, WHITEOUT, 4) != 0)
		return 0;
	dir = xasprintf("%.*s", (int)(name - path), path);
	if (streq(name, OPAQUE)) {
		r = tree_opaque(l->tree, dir, err);
		return r < 0 ? r : 1;
	}
	name += strlen(WHITEOUT);
	if (strncmp(name, WHITEOUT, 4) == 0)
		return 1; /* AUFS keeps its own books under such names */
	if (!name[0] || streq(name, ".") || streq(name, ".."))
		return err_set(err, EINVAL,
			"the archive has a whiteout without a name");
	target = xasprintf("%s%s", dir, name);
	r = tree_whiteout(l->tree, target, err);
	return r < 0 ? r : 1;
}

static bool is_device(struct archive_entry *e)
{
	return archive_entry_filetype(e) == AE_IFCHR ||
		archive_entry_filetype(e) == AE_IFBLK;
}

static int add_entry(struct layer *l, struct archive_entry *e, const char *path,
	struct err *err)
{
	const char *link = archive_entry_hardlink(e);
	struct inode *i = NULL, *there = NULL;
	int r;

	r = whiteout(l, path, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (link)
		return tree_link(l->tree, path, link, err);
	if (l->opts->skip_devices && is_device(e)) {
		l->stats->dropped++;
		return 0;
	}
	r = make_inode(l, e, &i, err);
	if (r == 0)
		r = tree_add(l->tree, path, i, &there, err);
	if (r == 0 && S_ISREG(i->mode) && i->size)
		r = copy_data(l, i, err);
	return r;
}

static int next_entry(struct layer *l, struct err *err)
{
	struct archive_entry *e = NULL;
	const char *path;
	int r = archive_read_next_header(l->a, &e);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return archive_err(l, err);
	/* also headers that make no inode, so that they cannot go on for ever */
	if (l->stats->entries++ >= 2 * l->tree->limits.entries)
		return err_set(err, EFBIG, "the archive has too many entries");
	path = archive_entry_pathname(e);
	if (!path)
		return err_set(err, EILSEQ,
			"the archive has a name that is not valid UTF-8");
	r = add_entry(l, e, path, err);
	return r < 0 ? r : 1;
}

int layer_apply(struct tree *t, struct erofs *e, const struct layer_opts *opts,
	layer_read_fn *read, void *arg, struct layer_stats *stats,
	struct err *err)
{
	_cleanup_(archive_freep) struct archive *a = archive_read_new();
	struct layer l = {
		.a = a,
		.tree = t,
		.erofs = e,
		.opts = opts,
		.stats = stats,
		.read = read,
		.arg = arg,
	};
	int r;

	if (!a)
		abort();
	r = open_archive(&l, err);
	while (r == 0) {
		r = next_entry(&l, err);
		if (r == 0)
			return 0;
		r = r > 0 ? 0 : r;
	}
	return r;
}
