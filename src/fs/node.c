/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

static uint64_t mix64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

static uint64_t ident_hash(uint16_t export, uint16_t volume, uint64_t ino)
{
	return mix64(ino ^ (uint64_t)volume << 48 ^ (uint64_t) export << 40);
}

static uint64_t name_hash(const struct node *dir, const char *name)
{
	uint64_t h = dir->id;

	for (const char *p = name; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	return mix64(h);
}

_Atomic uint32_t *seq_slot(
	struct fs *fs, const struct node *dir, const char *name)
{
	return &fs->seq[name_hash(dir, name) % SEQ_SLOTS];
}

void fs_lock(struct fs *fs)
{
	pthread_mutex_lock(&fs->lock);
}

/*
 * Closing the last descriptor of a deleted file can take the host seconds, so
 * nodes that died under the lock are closed after it.
 */
void fs_unlock(struct fs *fs)
{
	struct hlink *dead = fs->dead;

	fs->dead = NULL;
	pthread_mutex_unlock(&fs->lock);
	while (dead) {
		struct node *n = container_of(dead, struct node, by_ident);

		dead = dead->next;
		if (n->fd >= 0) {
			pthread_rwlock_rdlock(&fs->closing);
			closep(&n->fd);
			pthread_rwlock_unlock(&fs->closing);
		}
		free(n);
	}
}

/* -- slots: how the guest's ids find nodes -- */

static void slots_grow(struct fs *fs)
{
	uint32_t cap = fs->n_nodes_cap ? fs->n_nodes_cap * 2 : 256;

	fs->nodes = xrealloc(fs->nodes, cap, sizeof(*fs->nodes));
	fs->free_slots = xrealloc(fs->free_slots, cap, sizeof(uint32_t));
	for (uint32_t i = cap; i-- > fs->n_nodes_cap;) {
		fs->nodes[i] = NULL;
		/* Slot 0 is nobody; slot 1 is the root, made first. */
		if (i > FUSE_ROOT_ID)
			fs->free_slots[fs->n_free++] = i;
	}
	fs->n_nodes_cap = cap;
}

static struct node *node_new(struct fs *fs, bool root)
{
	uint32_t slot = FUSE_ROOT_ID;
	struct node *n;

	if (fs->n_nodes >= FS_NODES_MAX)
		return NULL;
	if (!fs->n_free)
		slots_grow(fs);
	if (!root)
		slot = fs->free_slots[--fs->n_free];
	n = xnew(struct node);
	n->id = slot | (uint64_t)(root ? 0 : ++fs->generation) << 32;
	n->export = FS_NO_EXPORT;
	n->fd = -1;
	n->wd = -1;
	list_init(&n->links);
	list_init(&n->handles);
	list_init(&n->lru);
	fs->nodes[slot] = n;
	fs->n_nodes++;
	return n;
}

static void node_ident(struct fs *fs, struct node *n, uint16_t export,
	uint16_t volume, const struct statx *stx)
{
	n->export = export;
	n->volume = volume;
	n->ino = stx->stx_ino;
	n->btime = stx->stx_btime.tv_sec;
	n->btime_ns = stx->stx_btime.tv_nsec;
	n->type = stx->stx_mode & S_IFMT;
	table_add(&fs->by_ident, &n->by_ident,
		ident_hash(export, volume, n->ino));
}

/* Nothing holds n any more: fs_unlock() will free it. */
static void node_reap(struct fs *fs, struct node *n)
{
	assert(list_empty(&n->links) && list_empty(&n->handles));
	if (n->pinned)
		fs->n_pinned--;
	if (!list_empty(&n->lru)) {
		list_del(&n->lru);
		fs->n_lru--;
	}
	if (n->wd >= 0)
		watch_gone(fs, n);
	if (n->export != FS_NO_EXPORT)
		table_del(&fs->by_ident, &n->by_ident);
	fs->nodes[(uint32_t)n->id] = NULL;
	if ((uint32_t)n->id != FUSE_ROOT_ID)
		fs->free_slots[fs->n_free++] = (uint32_t)n->id;
	fs->n_nodes--;
	n->by_ident.next = fs->dead;
	fs->dead = &n->by_ident;
}

static void node_unref(struct fs *fs, struct node *n)
{
	assert(n->refs > 0);
	if (--n->refs || n->nlookup || n->permanent)
		return;
	node_reap(fs, n);
}

/* -- links -- */

struct link *link_find(struct fs *fs, const struct node *dir, const char *name)
{
	uint64_t hash = name_hash(dir, name);

	for (struct hlink *h = table_first(&fs->by_name, hash); h;
		h = table_next(h)) {
		struct link *l = container_of(h, struct link, by_name);

		if (l->dir == dir && streq(l->name, name))
			return l;
	}
	return NULL;
}

void link_remove(struct fs *fs, struct link *l)
{
	table_del(&fs->by_name, &l->by_name);
	list_del(&l->of_node);
	node_unref(fs, l->dir);
	free(l);
}

static void link_add(
	struct fs *fs, struct node *dir, const char *name, struct node *n)
{
	size_t len = strlen(name);
	struct link *l = xcalloc(1, sizeof(*l) + len + 1);

	assert(len <= FS_NAME_MAX);
	memcpy(l->name, name, len + 1);
	l->len = (uint8_t)len;
	l->dir = dir;
	l->node = n;
	dir->refs++;
	/* Newest first: the list head's next. */
	list_add_tail(n->links.next, &l->of_node);
	table_add(&fs->by_name, &l->by_name, name_hash(dir, name));
}

/* The guest now believes that name in dir is n. */
static void link_set(
	struct fs *fs, struct node *dir, const char *name, struct node *n)
{
	struct link *l = link_find(fs, dir, name);

	if (l && l->node == n) {
		list_del(&l->of_node);
		list_add_tail(n->links.next, &l->of_node);
		return;
	}
	if (l)
		link_remove(fs, l);
	link_add(fs, dir, name, n);
}

void link_drop(struct fs *fs, struct node *dir, const char *name)
{
	struct link *l;

	fs_lock(fs);
	l = link_find(fs, dir, name);
	if (l)
		link_remove(fs, l);
	fs_unlock(fs);
}

void link_rename(struct fs *fs, struct node *dir, const char *name,
	struct node *newdir, const char *newname, bool exchange)
{
	struct link *from, *to;
	struct node *a, *b;

	fs_lock(fs);
	from = link_find(fs, dir, name);
	to = link_find(fs, newdir, newname);
	a = from ? from->node : NULL;
	b = to ? to->node : NULL;
	if (from)
		link_remove(fs, from);
	if (to && to != from)
		link_remove(fs, to);
	if (a)
		link_set(fs, newdir, newname, a);
	if (b && exchange)
		link_set(fs, dir, name, b);
	fs_unlock(fs);
}

/* -- restoring -- */

struct node *node_make(struct fs *fs, const struct node_state *s)
{
	uint32_t slot = (uint32_t)s->id;
	struct node *n;

	if (slot <= FUSE_ROOT_ID || slot >= FS_NODES_MAX || !s->nlookup)
		return NULL;
	while (slot >= fs->n_nodes_cap)
		slots_grow(fs);
	if (fs->nodes[slot])
		return NULL;
	n = xnew(struct node);
	n->id = s->id;
	n->nlookup = s->nlookup;
	n->export = s->export;
	n->volume = s->volume;
	n->ino = s->ino;
	n->btime = s->btime;
	n->btime_ns = s->btime_ns;
	n->type = s->type;
	n->fd = -1;
	n->wd = -1;
	list_init(&n->links);
	list_init(&n->handles);
	list_init(&n->lru);
	table_add(&fs->by_ident, &n->by_ident,
		ident_hash(n->export, n->volume, n->ino));
	fs->nodes[slot] = n;
	fs->n_nodes++;
	return n;
}

void link_make(
	struct fs *fs, struct node *dir, const char *name, struct node *n)
{
	link_set(fs, dir, name, n);
}

void node_slots(struct fs *fs)
{
	fs->n_free = 0;
	for (uint32_t i = fs->n_nodes_cap; i-- > FUSE_ROOT_ID + 1;)
		if (!fs->nodes[i])
			fs->free_slots[fs->n_free++] = i;
}

/* -- the guest's references -- */

struct node *node_ref(struct fs *fs, struct node *n)
{
	fs_lock(fs);
	n->refs++;
	fs_unlock(fs);
	return n;
}

static struct node *node_by_id(struct fs *fs, uint64_t id)
{
	uint32_t slot = (uint32_t)id;
	struct node *n = slot < fs->n_nodes_cap ? fs->nodes[slot] : NULL;

	return n && n->id == id && (n->nlookup || n->permanent) ? n : NULL;
}

struct node *node_get(struct fs *fs, uint64_t id)
{
	struct node *n;

	fs_lock(fs);
	n = node_by_id(fs, id);
	if (n)
		n->refs++;
	fs_unlock(fs);
	return n;
}

void node_put(struct fs *fs, struct node *n)
{
	fs_lock(fs);
	node_unref(fs, n);
	fs_unlock(fs);
}

struct node *node_permanent(struct fs *fs, uint16_t export, uint16_t volume,
	int fd, const struct statx *stx)
{
	struct node *n;

	fs_lock(fs);
	n = node_new(fs, !stx);
	n->permanent = true;
	n->fd = fd;
	n->type = S_IFDIR;
	if (stx)
		node_ident(fs, n, export, volume, stx);
	fs_unlock(fs);
	return n;
}

static bool ident_is(const struct node *n, const struct statx *stx)
{
	return n->ino == stx->stx_ino && n->btime == stx->stx_btime.tv_sec &&
		n->btime_ns == stx->stx_btime.tv_nsec &&
		n->type == (stx->stx_mode & S_IFMT);
}

bool node_is(const struct fs *fs, const struct node *n, const struct statx *stx)
{
	return ident_is(n, stx) &&
		fs->volumes[n->volume].dev ==
		makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

struct node *node_find(struct fs *fs, uint16_t export, uint16_t volume,
	const struct statx *stx)
{
	uint64_t hash = ident_hash(export, volume, stx->stx_ino);

	for (struct hlink *h = table_first(&fs->by_ident, hash); h;
		h = table_next(h)) {
		struct node *n = container_of(h, struct node, by_ident);

		if (n->export == export && n->volume == volume &&
			ident_is(n, stx))
			return n;
	}
	return NULL;
}

static int node_learn(struct nref *dir, uint16_t volume, const char *name,
	const struct statx *stx, struct node **ret)
{
	struct fs *fs = dir->fs;
	struct node *n;

	fs_lock(fs);
	n = node_find(fs, dir->node->export, volume, stx);
	if (!n) {
		n = node_new(fs, false);
		if (n)
			node_ident(fs, n, dir->node->export, volume, stx);
	}
	if (n) {
		n->nlookup++;
		n->refs++;
		if (name)
			link_set(fs, dir->node, name, n);
	}
	fs_unlock(fs);
	if (!n)
		return -ENFILE;
	*ret = n;
	return 0;
}

int node_enter(struct nref *dir, const char *name, const struct statx *stx,
	struct node **ret)
{
	uint16_t volume;
	int r = volume_find(dir->fs, dir->fd, name, stx, &volume);

	return r < 0 ? r : node_learn(dir, volume, name, stx, ret);
}

int node_nameless(
	struct nref *dir, int fd, const struct statx *stx, struct node **ret)
{
	uint16_t volume;
	int r = volume_find(dir->fs, fd, "", stx, &volume);

	return r < 0 ? r : node_learn(dir, volume, NULL, stx, ret);
}

static void node_unlook(struct fs *fs, struct node *n, uint64_t count)
{
	/* A guest that forgets more than it looked up only hurts itself. */
	n->nlookup -= MIN(count, n->nlookup);
	if (n->nlookup)
		return;
	n->refs++;
	while (!list_empty(&n->links))
		link_remove(
			fs, list_entry(n->links.next, struct link, of_node));
	node_unref(fs, n);
}

void node_forget(struct fs *fs, uint64_t id, uint64_t count)
{
	struct node *n;

	fs_lock(fs);
	n = node_by_id(fs, id);
	if (n)
		node_unlook(fs, n, count);
	fs_unlock(fs);
}

void node_drop_all(struct fs *fs)
{
	fs_lock(fs);
	for (uint32_t i = 0; i < fs->n_nodes_cap; i++) {
		struct node *n = fs->nodes[i];

		if (n && (n->nlookup || !list_empty(&n->links)))
			node_unlook(fs, n, n->nlookup);
	}
	fs_unlock(fs);
}

void node_free_permanent(struct fs *fs, struct node *n)
{
	fs_lock(fs);
	n->permanent = false;
	n->refs++;
	node_unref(fs, n);
	fs_unlock(fs);
}
