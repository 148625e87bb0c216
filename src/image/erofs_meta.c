/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, inodes and the superblock. */
#include "image/erofs.h"
#include "image/erofs_internal.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

/* Slot 0 stays empty: an inode number of 0 means "no file" to readdir(3). */
#define FIRST_SLOT 2u
#define META_MAX (1u << 30)

size_t erofs_xattr_size(const struct inode *i)
{
	size_t sum = 0;

	for (const struct xattr *x = i->xattrs; x; x = x->next)
		sum += (sizeof(struct erofs_xattr_entry) + x->name_len +
			       x->value_len + 3u) &
			~(size_t)3;
	return sum ? sum + sizeof(struct erofs_xattr_head) : 0;
}

/* Directories: "." and ".." and the children, in byte order. */

struct entry {
	const char *name;
	const struct inode *inode;
};

struct listing {
	struct entry *v;
	size_t n;
};

static void listing_of(const struct inode *dir, const struct inode *parent,
	struct listing *ret)
{
	struct entry dots[2] = {{".", dir}, {"..", parent}};
	size_t d = 0, k = 0, n = (size_t)dir->n_kids + 2;

	ret->v = xcalloc(n, sizeof(*ret->v));
	ret->n = n;
	for (size_t at = 0; at < n; at++) {
		bool dot = d < 2 &&
			(k == dir->n_kids ||
				strcmp(dots[d].name, dir->kids[k]->name) < 0);

		if (dot)
			ret->v[at] = dots[d++];
		else
			ret->v[at] = (struct entry){
				dir->kids[k]->name, dir->kids[k]->inode};
		k += !dot;
	}
}

static void listing_done(struct listing *l)
{
	free(l->v);
}

/* How many entries from l->v[from] share one block, and their bytes. */
static size_t block_fill(const struct listing *l, size_t from, size_t *ret_len)
{
	size_t used = 0, n = 0;

	for (size_t k = from; k < l->n; k++) {
		size_t need =
			sizeof(struct erofs_dirent) + strlen(l->v[k].name);

		if (used + need > EROFS_BLOCK)
			break;
		used += need;
		n++;
	}
	*ret_len = used;
	return n;
}

static uint64_t dir_size(const struct listing *l)
{
	uint64_t size = 0;
	size_t used;

	for (size_t at = 0; at < l->n;) {
		at += block_fill(l, at, &used);
		size += at < l->n ? EROFS_BLOCK : used;
	}
	return size;
}

static uint8_t file_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	default:
		assert(S_ISLNK(mode));
		return 7;
	}
}

/* One block: the entries, then the names without terminators. */
static void dir_block(const struct listing *l, size_t from, size_t n,
	uint8_t block[EROFS_BLOCK])
{
	size_t name_at = n * sizeof(struct erofs_dirent);

	memset(block, 0, EROFS_BLOCK);
	for (size_t k = 0; k < n; k++) {
		const struct entry *e = &l->v[from + k];
		size_t len = strlen(e->name);
		struct erofs_dirent d = {
			.nid = htole64(e->inode->nid),
			.nameoff = htole16((uint16_t)name_at),
			.file_type = file_type(e->inode->mode),
		};

		memcpy(block + k * sizeof(d), &d, sizeof(d));
		memcpy(block + name_at, e->name, len);
		name_at += len;
	}
}

/* Layout: every inode gets its place before anything is written. */

static bool compact(const struct tree *t, const struct inode *i)
{
	return i->mtime == t->time && i->mtime_nsec == 0 &&
		i->uid <= UINT16_MAX && i->gid <= UINT16_MAX &&
		i->n_links <= UINT16_MAX && i->size <= UINT32_MAX;
}

static size_t core_size(const struct tree *t, const struct inode *i)
{
	return compact(t, i) ? sizeof(struct erofs_inode_compact)
			     : sizeof(struct erofs_inode_extended);
}

/* Bytes of i's data that follow the inode. */
static size_t inline_size(const struct inode *i)
{
	if (S_ISREG(i->mode))
		return i->tail ? (size_t)(i->size % EROFS_BLOCK) : 0;
	if (!S_ISDIR(i->mode) && !S_ISLNK(i->mode))
		return 0;
	return i->out_block ? 0 : (size_t)i->size;
}

/* Symlinks and directories that do not fit beside their inode get blocks. */
static int place_data(struct erofs *e, const struct tree *t, struct inode *i,
	const struct inode *parent, struct err *err)
{
	uint64_t at;
	int r;

	if (S_ISLNK(i->mode)) {
		i->size = strlen(i->target);
	} else if (S_ISDIR(i->mode)) {
		_cleanup_(listing_done) struct listing l = {0};

		listing_of(i, parent, &l);
		i->size = dir_size(&l);
	} else {
		return 0;
	}
	if (core_size(t, i) + erofs_xattr_size(i) + i->size <= EROFS_BLOCK)
		return 0;
	r = erofs_reserve(e, i->size, &at, err);
	if (r == 0)
		i->out_block = at / EROFS_BLOCK;
	return r;
}

static int place(struct erofs *e, const struct tree *t, struct inode *i,
	const struct inode *parent, struct err *err)
{
	size_t head, need, room = EROFS_BLOCK - e->meta_len % EROFS_BLOCK;
	int r;

	r = place_data(e, t, i, parent, err);
	if (r < 0)
		return r;
	head = core_size(t, i) + erofs_xattr_size(i);
	need = head + inline_size(i);
	/* inline data must not cross a block; the rest better had not */
	if (need > room &&
		(need <= EROFS_BLOCK ||
			room < sizeof(struct erofs_inode_extended)))
		e->meta_len += room;
	i->nid = e->meta_len / EROFS_SLOT;
	e->meta_len += (need + EROFS_SLOT - 1) & ~(size_t)(EROFS_SLOT - 1);
	e->n_inodes++;
	if (e->meta_len > META_MAX)
		return err_set(err, EFBIG, "the archive has too many entries");
	return 0;
}

typedef int visit_fn(struct erofs *e, const struct tree *t, struct inode *i,
	const struct inode *parent, struct err *err);

/*
 * Every inode once, the same order each time: a directory, its files, then
 * its subdirectories, so that a listing with attributes reads ahead.
 */
static int visit(struct erofs *e, const struct tree *t, struct inode *dir,
	bool mark, visit_fn *fn, struct err *err)
{
	int r = 0;

	for (uint32_t k = 0; r == 0 && k < dir->n_kids; k++) {
		struct inode *i = dir->kids[k]->inode;

		if (S_ISDIR(i->mode) || i->out_done == mark)
			continue;
		i->out_done = mark;
		r = fn(e, t, i, dir, err);
	}
	for (uint32_t k = 0; r == 0 && k < dir->n_kids; k++) {
		struct inode *i = dir->kids[k]->inode;

		if (!S_ISDIR(i->mode))
			continue;
		r = fn(e, t, i, dir, err);
		if (r == 0)
			r = visit(e, t, i, mark, fn, err);
	}
	return r;
}

/* Writing. */

static uint32_t i_u(const struct inode *i)
{
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
		return i->rdev;
	if (S_ISREG(i->mode))
		return (uint32_t)i->block;
	return (uint32_t)i->out_block;
}

static uint16_t i_format(const struct inode *i, uint16_t form)
{
	return htole16(
		form | (inline_size(i) ? EROFS_I_INLINE : EROFS_I_PLAIN));
}

static uint16_t i_icount(const struct inode *i)
{
	size_t size = erofs_xattr_size(i);

	if (!size)
		return 0;
	return htole16(
		(uint16_t)((size - sizeof(struct erofs_xattr_head)) / 4 + 1));
}

static size_t put_core(const struct tree *t, const struct inode *i, void *to)
{
	struct erofs_inode_extended x = {
		.i_format = i_format(i, EROFS_I_EXTENDED),
		.i_xattr_icount = i_icount(i),
		.i_mode = htole16((uint16_t)i->mode),
		.i_size = htole64(i->size),
		.i_u = htole32(i_u(i)),
		.i_ino = htole32((uint32_t)i->nid),
		.i_uid = htole32(i->uid),
		.i_gid = htole32(i->gid),
		.i_mtime = htole64((uint64_t)i->mtime),
		.i_mtime_nsec = htole32(i->mtime_nsec),
		.i_nlink = htole32(i->n_links),
	};
	struct erofs_inode_compact c = {
		.i_format = i_format(i, EROFS_I_COMPACT),
		.i_xattr_icount = x.i_xattr_icount,
		.i_mode = x.i_mode,
		.i_nlink = htole16((uint16_t)i->n_links),
		.i_size = htole32((uint32_t)i->size),
		.i_u = x.i_u,
		.i_ino = x.i_ino,
		.i_uid = htole16((uint16_t)i->uid),
		.i_gid = htole16((uint16_t)i->gid),
	};

	if (compact(t, i)) {
		memcpy(to, &c, sizeof(c));
		return sizeof(c);
	}
	memcpy(to, &x, sizeof(x));
	return sizeof(x);
}

static size_t put_xattrs(const struct inode *i, uint8_t *to)
{
	size_t at = sizeof(struct erofs_xattr_head);

	if (!i->xattrs)
		return 0;
	for (const struct xattr *x = i->xattrs; x; x = x->next) {
		struct erofs_xattr_entry e = {
			.e_name_len = x->name_len,
			.e_name_index = x->index,
			.e_value_size = htole16(x->value_len),
		};
		size_t len = (size_t)x->name_len + x->value_len;

		memcpy(to + at, &e, sizeof(e));
		memcpy(to + at + sizeof(e), x->data, len);
		at += (sizeof(e) + len + 3) & ~(size_t)3;
	}
	return at;
}

static void write_dir_blocks(
	struct erofs *e, const struct inode *i, const struct listing *l)
{
	uint64_t to = i->out_block * EROFS_BLOCK;
	uint8_t block[EROFS_BLOCK];
	size_t used;

	for (size_t at = 0; at < l->n; to += EROFS_BLOCK) {
		size_t n = block_fill(l, at, &used);

		dir_block(l, at, n, block);
		erofs_write(e, to, block, EROFS_BLOCK);
		at += n;
	}
}

/* Everything outside the inode table: first pass over the tree. */
static int write_data(struct erofs *e, const struct tree *t, struct inode *i,
	const struct inode *parent, struct err *err)
{
	_cleanup_(listing_done) struct listing l = {0};

	if (!i->out_block)
		return 0;
	if (S_ISLNK(i->mode)) {
		erofs_write(e, i->out_block * EROFS_BLOCK, i->target, i->size);
	} else {
		listing_of(i, parent, &l);
		write_dir_blocks(e, i, &l);
	}
	return 0;
}

static void put_inline(
	const struct inode *i, const struct inode *parent, uint8_t *to)
{
	_cleanup_(listing_done) struct listing l = {0};
	uint8_t block[EROFS_BLOCK];
	size_t len = inline_size(i);

	if (S_ISREG(i->mode)) {
		memcpy(to, i->tail, len);
	} else if (S_ISLNK(i->mode)) {
		memcpy(to, i->target, len);
	} else {
		listing_of(i, parent, &l);
		dir_block(&l, 0, l.n, block);
		memcpy(to, block, len);
	}
}

/* The inode table: second pass. */
static int write_inode(struct erofs *e, const struct tree *t, struct inode *i,
	const struct inode *parent, struct err *err)
{
	size_t need = core_size(t, i) + erofs_xattr_size(i) + inline_size(i);
	_cleanup_free_ uint8_t *raw = xcalloc(1, need);
	size_t at;

	at = put_core(t, i, raw);
	at += put_xattrs(i, raw + at);
	if (inline_size(i))
		put_inline(i, parent, raw + at);
	erofs_write(e, e->meta_at + i->nid * EROFS_SLOT, raw, need);
	return 0;
}

/* CRC-32C without the final inversion, as the kernel's crc32c(). */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return crc;
}

static void write_super(struct erofs *e, const struct tree *t,
	const char *label, uint64_t blocks)
{
	uint8_t block[EROFS_BLOCK] = {0};
	struct erofs_super s = {
		.magic = htole32(EROFS_MAGIC),
		.feature_compat =
			htole32(EROFS_COMPAT_CHKSUM | EROFS_COMPAT_MTIME),
		.blkszbits = 12,
		.root_nid = htole16((uint16_t)t->root->nid),
		.inos = htole64(e->n_inodes),
		.build_time = htole64((uint64_t)t->time),
		.blocks = htole32((uint32_t)blocks),
		.meta_blkaddr = htole32((uint32_t)(e->meta_at / EROFS_BLOCK)),
	};

	memcpy(s.volume_name, label, strnlen(label, sizeof(s.volume_name)));
	memcpy(block + EROFS_SUPER_AT, &s, sizeof(s));
	s.checksum = htole32(crc32c(
		~0u, block + EROFS_SUPER_AT, EROFS_BLOCK - EROFS_SUPER_AT));
	memcpy(block + EROFS_SUPER_AT, &s, sizeof(s));
	erofs_write(e, 0, block, sizeof(block));
}

/* Blocks of files that no name reaches any more; failing is no harm. */
static void punch_dead(const struct erofs *e, const struct tree *t)
{
	for (const struct inode *i = t->all; i; i = i->next) {
		uint64_t blocks = i->size / EROFS_BLOCK;

		if (!S_ISREG(i->mode) || i->n_links)
			continue;
		if (i->size % EROFS_BLOCK && !i->tail)
			blocks++;
		if (blocks)
			(void)fallocate(e->fd,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(i->block * EROFS_BLOCK),
				(off_t)(blocks * EROFS_BLOCK));
	}
}

static int layout(struct erofs *e, struct tree *t, struct err *err)
{
	int r;

	e->meta_len = FIRST_SLOT * EROFS_SLOT;
	r = place(e, t, t->root, t->root, err);
	if (r == 0)
		r = visit(e, t, t->root, true, place, err);
	if (r < 0)
		return r;
	/* directories were reserved on the way: the table comes after them */
	return erofs_reserve(e, e->meta_len, &e->meta_at, err);
}

int erofs_finish(struct erofs *e, struct tree *t, const char *label,
	uint64_t *ret_bytes, struct err *err)
{
	int r;

	tree_seal(t);
	r = layout(e, t, err);
	if (r < 0)
		return r;
	if (e->pos / EROFS_BLOCK > UINT32_MAX)
		return err_set(err, EFBIG, "the image is larger than 16 TiB");
	write_data(e, t, t->root, t->root, err);
	visit(e, t, t->root, false, write_data, err);
	write_inode(e, t, t->root, t->root, err);
	visit(e, t, t->root, true, write_inode, err);
	write_super(e, t, label, e->pos / EROFS_BLOCK);
	r = erofs_flush(e);
	if (r == 0 && ftruncate(e->fd, (off_t)e->pos) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(err, -r, "cannot write the image");
	punch_dead(e, t);
	*ret_bytes = e->pos;
	return 0;
}
