/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#define NAMES_MASK (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
/* CLOSE_WRITE also ends what was written through a shared mapping. */
#define DATA_MASK (IN_MODIFY | IN_CLOSE_WRITE)
#define WATCH_MASK \
	(NAMES_MASK | DATA_MASK | IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK)

/* -- which directories are watched -- */

bool watch_dir(struct nref *r)
{
	struct fs *fs = r->fs;
	struct node *n = r->node;
	char path[32];
	bool watched;

	if (!atomic_load(&fs->leasing))
		return false;
	fs_lock(fs);
	if (n->wd < 0 && r->fd >= 0 && n->export != FS_NO_EXPORT &&
		fs->volumes[n->volume].watchable && fs->n_watches < WATCH_MAX) {
		n->wd = inotify_add_watch(
			fs->inotify, fd_path(r->fd, path), WATCH_MASK);
		if (n->wd >= 0) {
			table_add(&fs->by_wd, &n->by_wd, (uint64_t)n->wd);
			fs->n_watches++;
		}
	}
	watched = n->wd >= 0;
	fs_unlock(fs);
	return watched;
}

static void unwatch(struct fs *fs, struct node *n)
{
	table_del(&fs->by_wd, &n->by_wd);
	n->wd = -1;
	fs->n_watches--;
}

void watch_gone(struct fs *fs, struct node *n)
{
	int wd = n->wd;

	unwatch(fs, n);
	/* Two exports may show the same directory: one watch, two nodes. */
	if (!table_first(&fs->by_wd, (uint64_t)wd))
		(void)inotify_rm_watch(fs->inotify, wd);
}

/* The i-th node with this watch (a reference), or NULL. */
static struct node *watched_node(struct fs *fs, int wd, unsigned i)
{
	struct node *n = NULL;
	struct hlink *h;

	fs_lock(fs);
	h = table_first(&fs->by_wd, (uint64_t)wd);
	while (h && i--)
		h = table_next(h);
	if (h) {
		n = container_of(h, struct node, by_wd);
		n->refs++;
	}
	fs_unlock(fs);
	return n;
}

static void watch_ended(struct fs *fs, int wd)
{
	struct hlink *h;

	fs_lock(fs);
	while ((h = table_first(&fs->by_wd, (uint64_t)wd)))
		unwatch(fs, container_of(h, struct node, by_wd));
	fs_unlock(fs);
}

/* -- comparing -- */

static bool meta_differs(const struct told *t, const struct statx *stx)
{
	return t->mode != stx->stx_mode || t->uid != stx->stx_uid ||
		t->gid != stx->stx_gid || t->nlink != stx->stx_nlink;
}

static bool data_differs(const struct told *t, const struct statx *stx)
{
	return t->mtime != stx->stx_mtime.tv_sec ||
		t->mtime_ns != stx->stx_mtime.tv_nsec ||
		t->size != stx->stx_size;
}

static bool ctime_differs(const struct told *t, const struct statx *stx)
{
	return t->ctime != stx->stx_ctime.tv_sec ||
		t->ctime_ns != stx->stx_ctime.tv_nsec;
}

static bool is_own(const struct watcher *w, const struct node *n)
{
	return (int32_t)(w->reading - n->own_gen) < 2;
}

/*
 * The file was written, but size and mtime look as the guest was told: its
 * clock was too coarse, or somebody set it back. Our own writes raise the same
 * event, in the reading of the queue after them at the latest.
 */
static bool data_hidden(const struct watcher *w, const struct node *n,
	const struct statx *stx, uint32_t mask)
{
	const struct told *t = &n->told;

	return (mask & IN_MODIFY) && t->data && !data_differs(t, stx) &&
		!is_own(w, n) && (t->racy || ctime_differs(t, stx));
}

/*
 * Told since the reading before: two answers may have been on their way at
 * once, and the guest's kernel then keeps the older one (its attr_version).
 */
static bool told_lately(const struct watcher *w, const struct node *n)
{
	return (int32_t)(w->reading - n->told.gen) < 2;
}

/* The listing that the guest keeps may be old (lease.c, salt_listing()). */
static bool listing_stale(
	const struct told *t, const struct statx *stx, uint32_t mask)
{
	return (t->listed && ctime_differs(t, stx)) ||
		(t->listed_racy && (mask & NAMES_MASK));
}

/* With the lock held. */
static bool attr_stale(struct watcher *w, struct node *n,
	const struct statx *stx, uint32_t mask)
{
	const struct told *t = &n->told;

	if (!t->mode)
		return false; /* never told */
	if (data_hidden(w, n, stx, mask)) {
		n->data_event = true;
		return true;
	}
	if (meta_differs(t, stx) || (t->data && data_differs(t, stx)) ||
		(t->ctime_ok && ctime_differs(t, stx)))
		return true;
	if (n->type == S_IFDIR && listing_stale(t, stx, mask))
		return true;
	return t->data && !is_own(w, n) && told_lately(w, n);
}

/*
 * A request is changing dir, or the node that name in it is: until it is done
 * nobody can tell its events from the host's. True if the event was kept for
 * the next reading. With the lock held.
 */
static bool put_off(struct watcher *w, struct node *dir, const struct node *n,
	const char *name, uint32_t mask)
{
	struct put_off *p = &w->later[w->n_later];

	if ((!dir->busy && !(n && n->busy)) || w->now ||
		w->n_later == PUT_OFF_MAX)
		return false;
	p->dir = dir;
	dir->refs++;
	p->mask = mask;
	p->reading = w->reading;
	__builtin_memcpy(p->name, name, strlen(name) + 1);
	w->n_later++;
	return true;
}

/* Something happened to name in dir. */
static void check_name(
	struct watcher *w, struct nref *dir, const char *name, uint32_t mask)
{
	struct fs *fs = w->fs;
	struct statx stx;
	struct link *l;
	bool known, gone, stale = false;

	fs_lock(fs);
	l = link_find(fs, dir->node, name);
	/* Data the guest does not trust anyway need not be looked at. */
	known = l && !((mask & ~DATA_MASK) == 0 && !l->node->told.data);
	if (known && put_off(w, dir->node, l->node, name, mask))
		known = false;
	fs_unlock(fs);
	if (!known || nref_fd(dir) < 0)
		return;
	gone = name_stat(dir->fd, name, &stx) < 0;
	fs_lock(fs);
	l = link_find(fs, dir->node, name);
	if (l) {
		gone = gone || !node_is(fs, l->node, &stx);
		stale = gone || attr_stale(w, l->node, &stx, mask);
	}
	fs_unlock(fs);
	if (stale)
		revoke_name(w, dir->node, name, gone);
}

/* Its own attributes: names came or went (mask), or chmod and the like. */
static void check_dir(struct watcher *w, struct nref *dir, uint32_t mask)
{
	struct fs *fs = w->fs;
	struct statx stx;
	bool trusted, stale;

	fs_lock(fs);
	trusted = dir->node->told.data || (mask & IN_ATTRIB);
	if (trusted && put_off(w, dir->node, NULL, "", mask))
		trusted = false;
	fs_unlock(fs);
	if (!trusted || nref_fd(dir) < 0 || fd_stat(dir->fd, &stx) < 0)
		return;
	fs_lock(fs);
	stale = attr_stale(w, dir->node, &stx, mask & NAMES_MASK);
	fs_unlock(fs);
	if (stale)
		revoke_name(w, dir->node, "", false);
}

/*
 * A name appeared. It may be one more hard link to a file the guest knows, or
 * the new name of a file that it has open: a look-up there tells it.
 */
static void check_arrived(struct watcher *w, struct nref *dir, const char *name)
{
	struct fs *fs = w->fs;
	struct statx stx;
	struct link *l;
	struct node *n;
	bool stale;

	if (nref_fd(dir) < 0 || name_stat(dir->fd, name, &stx) < 0)
		return;
	fs_lock(fs);
	l = link_find(fs, dir->node, name);
	n = node_find(fs, dir->node->export, dir->node->volume, &stx);
	stale = n && n->nlookup && !(l && l->node == n) &&
		attr_stale(w, n, &stx, 0);
	fs_unlock(fs);
	if (stale)
		revoke_name(w, dir->node, name, false);
}

/* -- events -- */

static void on_event(
	struct watcher *w, struct nref *dir, uint32_t mask, const char *name)
{
	struct fs *fs = w->fs;

	/* First: a worker that asks the host right now must not lease. */
	if (name)
		atomic_fetch_add(seq_slot(fs, dir->node, name), 1);
	if (!name || (mask & NAMES_MASK))
		atomic_fetch_add(seq_slot(fs, dir->node, ""), 1);
	if (!name) {
		check_dir(w, dir, mask);
		return;
	}
	if (mask & NAMES_MASK)
		check_dir(w, dir, mask);
	if (mask & (IN_CREATE | IN_MOVED_TO))
		check_arrived(w, dir, name);
	if (!(mask & IN_CREATE))
		check_name(w, dir, name, mask & IN_ALL_EVENTS);
}

static void dispatch(struct watcher *w, const struct inotify_event *ev)
{
	struct fs *fs = w->fs;

	atomic_fetch_add_explicit(&fs->n_events, 1, memory_order_relaxed);
	if (ev->mask & IN_Q_OVERFLOW) {
		w->rescan = true;
		w->scan_at = 0;
		return;
	}
	if (ev->mask & IN_IGNORED) {
		watch_ended(fs, ev->wd);
		return;
	}
	for (unsigned i = 0;; i++) {
		_cleanup_nref_ struct nref dir = nref_of(fs);

		dir.node = watched_node(fs, ev->wd, i);
		if (!dir.node)
			break;
		on_event(w, &dir, ev->mask, ev->len ? ev->name : NULL);
	}
}

static void on_gathered(struct loop *l, struct timer *t);

static void look_again(struct watcher *w)
{
	unsigned n = w->n_later;

	/* What is still being changed lines up again, from the front. */
	w->n_later = 0;
	for (unsigned i = 0; i < n; i++) {
		struct put_off p = w->later[i];
		_cleanup_nref_ struct nref dir = nref_of(w->fs);

		dir.node = p.dir;
		w->reading = p.reading;
		if (p.name[0])
			check_name(w, &dir, p.name, p.mask);
		else
			check_dir(w, &dir, p.mask);
	}
}

void watch_drain(struct watcher *w, bool now)
{
	char buf[8192] __attribute__((aligned(8)));
	struct fs *fs = w->fs;
	uint32_t reading = atomic_fetch_add(&fs->drains, 1) + 1;

	w->now = now;
	look_again(w);
	w->reading = reading;
	for (;;) {
		ssize_t n = read(fs->inotify, buf, sizeof(buf));

		if (n <= 0)
			break;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev =
				(const void *)(buf + at);

			at += (ssize_t)(sizeof(*ev) + ev->len);
			dispatch(w, ev);
		}
	}
	if (w->rescan)
		watch_rescan(w);
	revoke_flush(w);
	if (w->n_later)
		loop_timer(w->loop, &w->gather, GATHER_MS, on_gathered);
}

static void on_gathered(struct loop *l, struct timer *t)
{
	struct watcher *w = container_of(t, struct watcher, gather);

	loop_rewatch(l, &w->events, EPOLLIN);
	watch_drain(w, false);
}

/*
 * Events come in swarms, most of them our own, and the worker that caused one
 * is still about to tell what it did. A moment later there are fewer to look
 * at. Whoever needs to be sure does not wait for it: fs_settle().
 */
static void on_readable(struct loop *l, struct watch *wt, uint32_t events)
{
	struct watcher *w = container_of(wt, struct watcher, events);

	loop_rewatch(l, wt, 0);
	loop_timer(l, &w->gather, GATHER_MS, on_gathered);
}

/* -- when events were lost -- */

/* The i-th name of a node: its directory (a reference) and the name. */
static bool nth_link(struct fs *fs, uint32_t slot, unsigned i,
	struct nref *ret_dir, char *ret_name)
{
	struct node *n;
	bool more = false;

	fs_lock(fs);
	n = slot < fs->n_nodes_cap ? fs->nodes[slot] : NULL;
	if (n) {
		list_for_each (it, &n->links) {
			struct link *l = list_entry(it, struct link, of_node);

			if (i--)
				continue;
			__builtin_memcpy(ret_name, l->name, l->len + 1u);
			ret_dir->node = l->dir;
			ret_dir->node->refs++;
			more = true;
			break;
		}
	}
	fs_unlock(fs);
	return more;
}

static void rescan_node(struct watcher *w, uint32_t slot)
{
	for (unsigned i = 0;; i++) {
		char name[FS_NAME_MAX + 1];
		_cleanup_nref_ struct nref dir = nref_of(w->fs);

		if (!nth_link(w->fs, slot, i, &dir, name))
			break;
		check_name(w, &dir, name, IN_ATTRIB);
	}
}

static uint32_t slots(struct fs *fs)
{
	uint32_t n;

	fs_lock(fs);
	n = fs->n_nodes_cap;
	fs_unlock(fs);
	return n;
}

void watch_rescan(struct watcher *w)
{
	uint32_t n = slots(w->fs);

	while (w->scan_at < n && revoke_room(w))
		rescan_node(w, w->scan_at++);
	if (w->scan_at < n)
		return; /* goes on when the agent has caught up */
	for (unsigned i = 0; i < w->fs->n_exports; i++) {
		_cleanup_nref_ struct nref top = nref_of(w->fs);

		top.node = node_ref(w->fs, w->fs->exports[i].node);
		check_dir(w, &top, IN_ATTRIB);
	}
	w->rescan = false;
}

/* -- life -- */

int fs_watch(struct fs *fs, struct loop *loop, struct err *err)
{
	struct watcher *w;
	int e;

	fs->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fs->inotify < 0)
		return err_sys(err, errno, "file server: inotify");
	w = xnew(struct watcher);
	w->fs = fs;
	w->loop = loop;
	e = loop_watch(loop, &w->events, fs->inotify, EPOLLIN, on_readable);
	if (e < 0) {
		free(w);
		return err_sys(err, -e, "file server: inotify");
	}
	revoke_init(w);
	fs->watcher = w;
	return 0;
}

void watch_free(struct fs *fs)
{
	struct watcher *w = fs->watcher;

	if (w) {
		loop_unwatch(w->loop, &w->events);
		loop_untimer(w->loop, &w->gather);
		while (w->n_later)
			node_put(fs, w->later[--w->n_later].dir);
		revoke_done(w);
		free(w);
	}
	closep(&fs->inotify);
}
