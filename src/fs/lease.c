/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/priv.h"

#include <time.h>

static struct lease lease_now(void)
{
	struct timespec ts;

	/* The clock that file systems stamp with. */
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (struct lease){.now = ts.tv_sec, .now_ns = (uint32_t)ts.tv_nsec};
}

/* With the lock held. */
static void sample_changes(struct lease *l, const struct node *n)
{
	l->node = n;
	l->changes = n->changes;
}

struct lease lease_child(struct nref *dir, const char *name)
{
	struct lease l = lease_now();
	struct link *link;

	fs_lock(dir->fs);
	link = link_find(dir->fs, dir->node, name);
	if (link)
		sample_changes(&l, link->node);
	fs_unlock(dir->fs);

	l.entry_ok = l.attr_ok = watch_dir(dir);
	l.entry_slot = l.attr_slot = seq_slot(dir->fs, dir->node, name);
	l.entry_seq = l.attr_seq = atomic_load(l.entry_slot);
	return l;
}

void lease_dir(struct lease *l, struct nref *r)
{
	fs_lock(r->fs);
	sample_changes(l, r->node);
	fs_unlock(r->fs);
	l->attr_slot = seq_slot(r->fs, r->node, "");
	l->attr_ok = watch_dir(r);
	l->attr_seq = atomic_load(l->attr_slot);
}

/* Of a file with one name, by the directory it is in. */
static void lease_file(struct lease *l, struct nref *r)
{
	struct fs *fs = r->fs;
	struct link *link;

	fs_lock(fs);
	sample_changes(l, r->node);
	if (!list_empty(&r->node->links) &&
		r->node->links.next == r->node->links.prev) {
		link = list_entry(r->node->links.next, struct link, of_node);
		l->attr_ok = link->dir->wd >= 0 && atomic_load(&fs->leasing);
		l->attr_slot = seq_slot(fs, link->dir, link->name);
		l->attr_seq = atomic_load(l->attr_slot);
	}
	fs_unlock(fs);
}

struct lease lease_node(struct nref *r)
{
	struct lease l = lease_now();

	if (r->node->type == S_IFDIR)
		lease_dir(&l, r);
	else
		lease_file(&l, r);
	return l;
}

static bool still(_Atomic uint32_t *slot, uint32_t seq)
{
	return slot && atomic_load(slot) == seq;
}

uint64_t lease_entry_ms(const struct fs *fs, const struct lease *l)
{
	if (l->entry_ok && still(l->entry_slot, l->entry_seq))
		return fs->config.lease_ms;
	return fs->config.timeout_ms;
}

uint64_t lease_attr_ms(
	const struct fs *fs, const struct lease *l, const struct statx *stx)
{
	/* A change through another hard link raises no event here. */
	bool one_name = S_ISDIR(stx->stx_mode) || stx->stx_nlink == 1;

	if (l->attr_ok && one_name && still(l->attr_slot, l->attr_seq))
		return fs->config.lease_ms;
	return fs->config.timeout_ms;
}

/*
 * A later change gets a stamp of at least l->now, so it is told apart if the
 * sampled ctime is older. File systems with whole-second stamps need two
 * seconds (and one that has them by chance loses nothing but a cache).
 */
bool lease_racy(const struct lease *l, const struct statx *stx)
{
	const struct statx_timestamp *c = &stx->stx_ctime;

	if (!c->tv_nsec && !stx->stx_mtime.tv_nsec)
		return l->now < c->tv_sec + 2;
	if (l->now != c->tv_sec)
		return l->now < c->tv_sec;
	return l->now_ns <= c->tv_nsec;
}

static bool ctime_moved(const struct told *t, const struct statx *stx)
{
	return t->ctime != stx->stx_ctime.tv_sec ||
		t->ctime_ns != stx->stx_ctime.tv_nsec;
}

/*
 * The guest keeps a directory's listing until it sees another mtime, so what
 * it sees must be new whenever names may have changed since it listed them:
 * also if somebody set mtime back (to a value that it perhaps knows), or the
 * change fell into the same tick of the clock as the one before. A real mtime
 * later than all before is new by itself; otherwise the low bits are made to
 * differ, by half a microsecond at most, until the real one moves on.
 */
#define SALT_MAX 511u /* nine bits of ones end 999999999: never out of range */

static void salt_listing(struct told *t, const struct statx *stx, bool moved)
{
	const struct statx_timestamp *m = &stx->stx_mtime;
	bool latest = m->tv_sec != t->max_mtime ? m->tv_sec > t->max_mtime
						: m->tv_nsec > t->max_mtime_ns;

	if (latest) {
		t->max_mtime = m->tv_sec;
		t->max_mtime_ns = m->tv_nsec;
		t->salt = 0;
	} else if (t->listed_racy ||
		(t->listed && (moved || ctime_moved(t, stx)))) {
		t->last_salt = (uint16_t)(t->last_salt % SALT_MAX + 1);
		t->salt = t->last_salt;
	} else {
		return;
	}
	t->listed_racy = false;
}

void listing_begins(struct fs *fs, struct node *n)
{
	/* Before the host is read: a change after this is not missed. */
	fs_lock(fs);
	n->told.listed = true;
	n->told.listed_racy |= n->told.racy;
	fs_unlock(fs);
}

bool own_ctime_begin(struct fs *fs, struct node *n, const struct statx *stx)
{
	bool same;

	fs_lock(fs);
	same = !ctime_moved(&n->told, stx);
	fs_unlock(fs);
	return same;
}

void own_ctime_end(struct fs *fs, struct node *n, const struct statx *stx)
{
	fs_lock(fs);
	n->told.ctime = stx->stx_ctime.tv_sec;
	n->told.ctime_ns = stx->stx_ctime.tv_nsec;
	fs_unlock(fs);
}

bool told_set(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, bool *ret_hidden)
{
	struct told *t = &n->told;
	bool moved = t->mtime != stx->stx_mtime.tv_sec ||
		t->mtime_ns != stx->stx_mtime.tv_nsec;
	/*
	 * Changed by another request since the host was asked, or being
	 * changed: nobody knows which of the two answers the guest sees first.
	 */
	bool raced =
		n->busy > l->own || (l->node == n && l->changes != n->changes);
	bool hidden = n->data_event && !moved;

	if (n->type == S_IFDIR)
		salt_listing(t, stx, moved);
	n->data_event = false;
	t->mtime = stx->stx_mtime.tv_sec;
	t->mtime_ns = stx->stx_mtime.tv_nsec;
	t->ctime = stx->stx_ctime.tv_sec;
	t->ctime_ns = stx->stx_ctime.tv_nsec;
	t->size = stx->stx_size;
	t->mode = stx->stx_mode;
	t->uid = stx->stx_uid;
	t->gid = stx->stx_gid;
	t->nlink = stx->stx_nlink;
	t->data = t->ctime_ok = !raced && !hidden;
	t->racy = lease_racy(l, stx);
	t->gen = atomic_load(&fs->drains);
	*ret_hidden = hidden;
	return t->data;
}

struct change change_begin(struct fs *fs, struct node *n, enum change_kind kind)
{
	fs_lock(fs);
	n->busy++;
	n->changes++;
	fs_unlock(fs);
	return (struct change){fs, n, kind, false};
}

void change_end(struct change *c)
{
	struct node *n = c->node;

	if (!n)
		return;
	fs_lock(c->fs);
	n->busy--;
	n->changes++;
	/* A failed one may have done half its work. */
	n->own_gen = atomic_load(&c->fs->drains);
	if (c->done)
		n->told.ctime_ok = false;
	if (c->done && c->kind == CHANGE_DATA)
		n->told.data = false;
	fs_unlock(c->fs);
}

bool pages_kept(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l)
{
	bool kept;

	fs_lock(fs);
	kept = n->seen && n->seen_ctime == stx->stx_ctime.tv_sec &&
		n->seen_ctime_ns == stx->stx_ctime.tv_nsec;
	if (!kept) {
		n->seen = !lease_racy(l, stx);
		n->seen_ctime = stx->stx_ctime.tv_sec;
		n->seen_ctime_ns = stx->stx_ctime.tv_nsec;
	}
	fs_unlock(fs);
	return kept;
}
