/* SPDX-License-Identifier: Apache-2.0 */
#include "image/erofs_read.h"

#include "wire/wire.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK 4096u

static const uint8_t *at(const struct er *e, uint64_t off, uint64_t len)
{
	assert(off <= e->len && len <= e->len - off);
	return e->p + off;
}

static uint32_t crc32c(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t k = 0; k < len; k++) {
		crc ^= p[k];
		for (int b = 0; b < 8; b++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return crc;
}

void er_open(struct er *e, const uint8_t *p, size_t len)
{
	uint8_t block[BLOCK];
	const uint8_t *s;

	*e = (struct er){.p = p, .len = len};
	s = at(e, 1024, 128);
	assert(get_le32(s) == 0xe0f5e1e2);
	assert(get_le32(s + 8) == 3); /* checksum and mtime */
	assert(s[12] == 12);
	assert(get_le32(s + 80) == 0); /* nothing incompatible */
	assert((uint64_t)get_le32(s + 36) * BLOCK == len);
	memcpy(block, p, BLOCK);
	put_le32(block + 1028, 0);
	assert(get_le32(s + 4) == crc32c(block + 1024, BLOCK - 1024));
	e->root = get_le16(s + 14);
	e->inos = get_le64(s + 16);
	e->build_time = get_le64(s + 24);
	e->meta = (uint64_t)get_le32(s + 40) * BLOCK;
	assert(e->root > 0);
}

static void read_extended(const uint8_t *p, struct er_inode *i)
{
	i->size = get_le64(p + 8);
	i->u = get_le32(p + 16);
	i->uid = get_le32(p + 24);
	i->gid = get_le32(p + 28);
	i->mtime = get_le64(p + 32);
	i->mtime_nsec = get_le32(p + 40);
	i->links = get_le32(p + 44);
}

static void read_compact(
	const struct er *e, const uint8_t *p, struct er_inode *i)
{
	i->links = get_le16(p + 6);
	i->size = get_le32(p + 8);
	i->u = get_le32(p + 16);
	i->uid = get_le16(p + 24);
	i->gid = get_le16(p + 26);
	i->mtime = e->build_time;
}

static bool has_blocks(const struct er_inode *i)
{
	return S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode);
}

void er_inode(const struct er *e, uint64_t nid, struct er_inode *i)
{
	uint64_t off = e->meta + nid * 32, core;
	const uint8_t *p = at(e, off, 32);
	uint16_t format = get_le16(p), icount = get_le16(p + 2);

	*i = (struct er_inode){.nid = nid, .mode = get_le16(p + 4)};
	assert(nid > 0 && format < 8);
	i->extended = format & 1;
	i->layout = format >> 1;
	assert(i->layout == 0 || i->layout == 2);
	core = i->extended ? 64 : 32;
	p = at(e, off, core);
	if (i->extended)
		read_extended(p, i);
	else
		read_compact(e, p, i);
	i->tail = off + core;
	if (icount) {
		i->xattrs = i->tail;
		i->xattrs_len = 12 + (icount - 1u) * 4u;
		at(e, i->xattrs, i->xattrs_len);
		i->tail += i->xattrs_len;
	}
	if (i->layout == 2) {
		/* fs/erofs/data.c: "inline data cross block boundary" */
		assert(i->tail % BLOCK + i->size % BLOCK <= BLOCK);
		assert(i->size % BLOCK);
		at(e, i->tail, i->size % BLOCK);
	}
	if (has_blocks(i)) {
		uint64_t n = i->size / BLOCK +
			(i->layout == 0 && i->size % BLOCK != 0);

		at(e, (uint64_t)i->u * (n ? BLOCK : 0), n * BLOCK);
	}
}

char *er_data(const struct er *e, const struct er_inode *i)
{
	char *copy = xcalloc(1, i->size + 1);
	uint64_t whole = i->size;

	if (i->layout == 2)
		whole -= whole % BLOCK;
	if (whole)
		memcpy(copy, at(e, (uint64_t)i->u * BLOCK, whole), whole);
	if (i->size > whole)
		memcpy(copy + whole, at(e, i->tail, i->size - whole),
			i->size - whole);
	return copy;
}

/* Directories. */

struct dirent_at {
	uint64_t nid;
	uint8_t type;
	char name[256];
};

/* Entry k of the block, whose first entry tells how many there are. */
static size_t read_dirent(
	const uint8_t *block, size_t len, size_t k, struct dirent_at *ret)
{
	size_t n = get_le16(block + 8) / 12u, from, to;
	const uint8_t *d = block + k * 12;

	assert(len >= 12 && n > 0 && n * 12 <= len && k < n);
	from = get_le16(d + 8);
	to = k + 1 < n ? get_le16(d + 12 + 8)
		       : from + strnlen((const char *)block + from, len - from);
	assert(from >= n * 12 && from < to && to <= len && to - from < 256);
	*ret = (struct dirent_at){.nid = get_le64(d), .type = d[10]};
	memcpy(ret->name, block + from, to - from);
	assert(strlen(ret->name) == to - from);
	return n;
}

typedef bool dirent_fn(void *arg, const struct dirent_at *d);

/* Until fn returns true; names must rise over the whole directory. */
static bool each_dirent(const struct er *e, const struct er_inode *dir,
	dirent_fn *fn, void *arg)
{
	_cleanup_free_ char *data = er_data(e, dir);
	char last[256] = "";

	assert(S_ISDIR(dir->mode));
	for (uint64_t off = 0; off < dir->size; off += BLOCK) {
		size_t len = MIN((uint64_t)BLOCK, dir->size - off), n = 1;

		for (size_t k = 0; k < n; k++) {
			struct dirent_at d;

			n = read_dirent((uint8_t *)data + off, len, k, &d);
			assert(strcmp(last, d.name) < 0);
			memcpy(last, d.name, sizeof(last));
			if (fn(arg, &d))
				return true;
		}
	}
	return false;
}

struct find {
	const char *name;
	uint64_t nid;
};

static bool find_fn(void *arg, const struct dirent_at *d)
{
	struct find *f = arg;

	if (!streq(f->name, d->name))
		return false;
	f->nid = d->nid;
	return true;
}

bool er_lookup(const struct er *e, const char *path, struct er_inode *ret)
{
	_cleanup_free_ char *copy = xstrdup(path);
	struct er_inode i;

	er_inode(e, e->root, &i);
	for (char *save, *one = strtok_r(copy, "/", &save); one;
		one = strtok_r(NULL, "/", &save)) {
		struct find f = {.name = one};

		if (!S_ISDIR(i.mode) || !each_dirent(e, &i, find_fn, &f))
			return false;
		er_inode(e, f.nid, &i);
	}
	*ret = i;
	return true;
}

/* Attributes. */

char *er_xattr(const struct er *e, const struct er_inode *i, unsigned index,
	const char *name, size_t *ret_len)
{
	uint64_t off = i->xattrs + 12, end = i->xattrs + i->xattrs_len;

	if (!i->xattrs)
		return NULL;
	assert(at(e, i->xattrs, 12)[4] == 0); /* none shared */
	while (off < end) {
		const uint8_t *x = at(e, off, 4);
		size_t n = x[0], len = get_le16(x + 2);
		char *copy;

		at(e, off, 4 + n + len);
		assert(off + 4 + n + len <= end);
		if (x[1] == index && n == strlen(name) &&
			memcmp(x + 4, name, n) == 0) {
			copy = xcalloc(1, len + 1);
			memcpy(copy, x + 4 + n, len);
			*ret_len = len;
			return copy;
		}
		off += (4 + n + len + 3) & ~3ull;
	}
	assert(off == end);
	return NULL;
}

/* Walking. */

struct walk {
	const struct er *e;
	er_fn *fn;
	void *arg;
	const char *path;
	uint64_t self, parent;
	size_t n, subdirs;
};

static size_t walk_dir(const struct walk *up, const char *path,
	const struct er_inode *dir, uint64_t parent);

static unsigned type_of(uint32_t mode)
{
	static const uint8_t types[16] = {[S_IFREG >> 12] = 1,
		[S_IFDIR >> 12] = 2,
		[S_IFCHR >> 12] = 3,
		[S_IFBLK >> 12] = 4,
		[S_IFIFO >> 12] = 5,
		[S_IFSOCK >> 12] = 6,
		[S_IFLNK >> 12] = 7};

	return types[mode >> 12 & 15];
}

static bool walk_fn(void *arg, const struct dirent_at *d)
{
	struct walk *w = arg;
	_cleanup_free_ char *path = NULL;
	struct er_inode i;
	size_t len;

	if (streq(d->name, ".") || streq(d->name, "..")) {
		assert(d->nid == (d->name[1] ? w->parent : w->self));
		assert(d->type == 2);
		return false;
	}
	assert(!strchr(d->name, '/'));
	er_inode(w->e, d->nid, &i);
	assert(d->type == type_of(i.mode));
	path = xasprintf("%s%s%s", w->path, *w->path ? "/" : "", d->name);
	free(er_xattr(w->e, &i, 0, "", &len));
	if (w->fn)
		w->fn(w->arg, path, &i);
	w->n++;
	if (S_ISDIR(i.mode)) {
		w->subdirs++;
		w->n += walk_dir(w, path, &i, w->self);
	}
	return false;
}

static size_t walk_dir(const struct walk *up, const char *path,
	const struct er_inode *dir, uint64_t parent)
{
	struct walk w = *up;

	w.path = path;
	w.self = dir->nid;
	w.parent = parent;
	w.n = w.subdirs = 0;
	each_dirent(w.e, dir, walk_fn, &w);
	assert(dir->links == 2 + w.subdirs);
	return w.n;
}

size_t er_walk(const struct er *e, er_fn *fn, void *arg)
{
	const struct walk w = {.e = e, .fn = fn, .arg = arg};
	struct er_inode root;

	er_inode(e, e->root, &root);
	return walk_dir(&w, "", &root, root.nid);
}
