/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/watch.h"

#include "base/fd.h"
#include "base/log.h"
#include <errno.h>
#include <string.h>

static void update_leasing(struct watcher *w)
{
	/* The first frame is empty: an agent that answers it is there. */
	atomic_store(&w->fs->leasing,
		w->sock >= 0 && w->acked > 0 && !w->useless && !w->lagging &&
			w->fs->config.lease_ms > 0);
}

static bool settled(const struct watcher *w)
{
	return w->acked == w->sent && !w->n_batch && !w->rescan;
}

/* -- the waiter -- */

static void waiter_release(struct watcher *w)
{
	fs_settled_fn *fn = w->waiter;

	w->waiter = NULL;
	loop_untimer(w->loop, &w->timer);
	if (fn)
		fn(w->waiter_arg);
}

static void waiter_gives_up(struct loop *l, struct timer *t)
{
	struct watcher *w = container_of(t, struct watcher, timer);

	/* No leases and no waiting until the agent has caught up. */
	log_warn("share: the guest does not answer; for up to %u s it may "
		 "see files as they were",
		w->fs->config.lease_ms / 1000);
	w->lagging = true;
	update_leasing(w);
	waiter_release(w);
}

/* Something was acknowledged: a busy agent gets more time, up to a point. */
static void waiter_progress(struct watcher *w)
{
	if (!w->waiter)
		return;
	if (w->acked >= w->waiter_seq && !w->rescan)
		waiter_release(w);
	else if (now_ms() - w->waiter_since_ms < 5 * w->fs->config.settle_ms)
		loop_timer(w->loop, &w->timer, w->fs->config.settle_ms,
			waiter_gives_up);
}

bool fs_settle(struct fs *fs, fs_settled_fn *fn, void *arg)
{
	struct watcher *w = fs->watcher;

	if (!w)
		return true;
	watch_drain(w, true);
	if (w->sock < 0 || w->lagging || w->useless || settled(w))
		return true;
	if (!w->waiter) {
		w->waiter_since_ms = now_ms();
		loop_timer(w->loop, &w->timer, w->fs->config.settle_ms,
			waiter_gives_up);
	}
	w->waiter = fn;
	w->waiter_arg = arg;
	w->waiter_seq = w->sent + (w->n_batch > 0);
	return false;
}

/* -- the stream -- */

static void stream_lost(struct watcher *w)
{
	loop_unwatch(w->loop, &w->stream);
	closep(&w->sock);
	buf_clear(&w->in);
	buf_clear(&w->out);
	buf_clear(&w->batch);
	w->n_batch = 0;
	w->sent = w->acked = 0;
	w->probing.dir = w->probe.dir = 0;
	update_leasing(w);
	waiter_release(w);
}

static void stream_write(struct watcher *w)
{
	while (buf_len(&w->out)) {
		ssize_t n = buf_write_fd(&w->out, w->sock);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			stream_lost(w);
			return;
		}
	}
	loop_rewatch(w->loop, &w->stream,
		EPOLLIN | (buf_len(&w->out) ? (uint32_t)EPOLLOUT : 0));
}

/* Did the agent's look-up really reach us? A sample is enough. */
static void check_probe(struct watcher *w)
{
	struct fs *fs = w->fs;
	_cleanup_nref_ struct nref dir = nref_of(fs);
	struct statx stx;
	struct link *l;
	bool stale = false;

	if (!w->probing.dir || w->acked < w->probing_seq)
		return;
	if (nref_dir(&dir, w->probing.dir) == 0) {
		bool gone = name_stat(dir.fd, w->probing.name, &stx) < 0;

		fs_lock(fs);
		l = link_find(fs, dir.node, w->probing.name);
		stale = l && (gone || !node_is(fs, l->node, &stx));
		fs_unlock(fs);
	}
	w->probing.dir = 0;
	w->fails = stale ? w->fails + 1 : 0;
	w->useless = w->fails >= REVOKE_FAILS;
}

static int on_revoked(struct watcher *w, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	uint64_t seq = 0;
	struct tlv t;
	int e;

	while ((e = tlv_next(&it, &t)) == 1) {
		if (t.tag == ST_SEQ && tlv_u64(&t, &seq) < 0)
			return -EBADMSG;
	}
	/* In order, one by one: anything else is not our agent. */
	if (e < 0 || seq != w->acked + 1 || seq > w->sent)
		return -EBADMSG;
	w->acked = seq;
	check_probe(w);
	return 0;
}

static void stream_read(struct watcher *w)
{
	ssize_t n = buf_read_fd(&w->in, w->sock, FRAME_MAX);
	struct frame f;
	int e = 0;

	if (n == -EAGAIN)
		return;
	while (n > 0 && e >= 0 && (e = frame_peek(&w->in, &f)) == 1) {
		if (f.type == SF_REVOKED)
			e = on_revoked(w, &f);
		buf_consume(&w->in, FRAME_HEAD + f.len);
	}
	if (n <= 0 || e < 0) {
		stream_lost(w);
		return;
	}
	if (w->rescan)
		watch_rescan(w);
	revoke_flush(w);
	if (settled(w))
		w->lagging = false;
	update_leasing(w);
	waiter_progress(w);
}

static void on_stream(struct loop *l, struct watch *wt, uint32_t events)
{
	struct watcher *w = container_of(wt, struct watcher, stream);

	if (events & EPOLLOUT)
		stream_write(w);
	if (w->sock >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		stream_read(w);
}

void fs_share(struct fs *fs, int sock)
{
	struct watcher *w = fs->watcher;

	if (!w || fd_nonblock(sock, true) < 0) {
		closep(&sock);
		return;
	}
	if (w->sock >= 0)
		stream_lost(w);
	w->sock = sock;
	w->fails = 0;
	w->useless = w->lagging = false;
	if (loop_watch(w->loop, &w->stream, sock, EPOLLIN, on_stream) < 0) {
		closep(&w->sock);
		return;
	}
	/* Changes while nobody was listening. */
	w->rescan = true;
	w->scan_at = 0;
	w->n_batch = 1; /* makes the flush send even an empty frame */
	watch_rescan(w);
	revoke_flush(w);
}

/* -- frames -- */

bool revoke_room(const struct watcher *w)
{
	return w->sock >= 0 &&
		buf_len(&w->out) + 2 * FRAME_MAX <= REVOKE_OUT_MAX;
}

/* "EXPORT/a/b" at the end of buf, or NULL: no way there, or too long. */
static const char *path_of(
	struct fs *fs, struct node *dir, const char *name, char *buf, size_t n)
{
	char *p = buf + n - 1;
	const char *part = name;

	*p = 0;
	for (;;) {
		size_t len = strlen(part);

		if (len + 1 > (size_t)(p - buf))
			return NULL;
		if (*p && len)
			*--p = '/';
		p -= len;
		memcpy(p, part, len);
		if (!dir)
			return p;
		if (dir->permanent && dir->export != FS_NO_EXPORT) {
			part = fs->exports[dir->export].name;
			dir = NULL;
		} else if (!list_empty(&dir->links)) {
			struct link *l = list_entry(
				dir->links.next, struct link, of_node);

			part = l->name;
			dir = l->dir;
		} else {
			return NULL;
		}
	}
}

/* Once in a frame is enough. */
static bool seen_before(struct watcher *w, const char *path)
{
	uint64_t h = 0xcbf29ce484222325ull;
	uint64_t *slot;

	for (const char *p = path; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	slot = &w->seen[(h >> 20) % REVOKE_SEEN];
	if (*slot == h)
		return true;
	*slot = h;
	return false;
}

static void batch_begin(struct watcher *w)
{
	buf_clear(&w->batch);
	(void)tlv_put_u64(&w->batch, ST_SEQ, w->sent + 1);
}

static bool batch_full(const struct watcher *w)
{
	return w->n_batch >= REVOKE_BATCH ||
		buf_len(&w->batch) > FRAME_MAX - 2 * REVOKE_PATH_MAX;
}

void revoke_name(
	struct watcher *w, struct node *dir, const char *name, bool entry_gone)
{
	char buf[REVOKE_PATH_MAX];
	const char *path;

	fs_lock(w->fs);
	path = path_of(w->fs, dir, name, buf, sizeof(buf));
	fs_unlock(w->fs);
	if (!path || seen_before(w, path))
		return;
	if (w->sock < 0)
		return; /* a new stream begins with a rescan */
	if (!revoke_room(w)) {
		w->rescan = true;
		w->scan_at = 0;
		return;
	}
	if (!buf_len(&w->batch))
		batch_begin(w);
	if (tlv_put_str(&w->batch, ST_PATH, path) < 0)
		return;
	if (entry_gone && !w->probe.dir) {
		w->probe.dir = dir->id;
		memcpy(w->probe.name, name, strlen(name) + 1);
	}
	atomic_fetch_add_explicit(&w->fs->n_revoked, 1, memory_order_relaxed);
	w->n_batch++;
	if (batch_full(w))
		revoke_flush(w);
}

void revoke_flush(struct watcher *w)
{
	if (!w->n_batch || w->sock < 0)
		return;
	/* While the agent is busy, paths gather (and repeat) in one frame. */
	if (w->sent - w->acked >= REVOKE_WINDOW && !batch_full(w))
		return;
	if (!buf_len(&w->batch))
		batch_begin(w);
	if (frame_put(&w->out, SF_REVOKE, buf_head(&w->batch),
		    buf_len(&w->batch)) < 0) {
		w->rescan = true;
		w->scan_at = 0;
	} else {
		w->sent++;
	}
	if (w->probe.dir && !w->probing.dir) {
		w->probing = w->probe;
		w->probing_seq = w->sent;
	}
	w->probe.dir = 0;
	memset(w->seen, 0, sizeof(w->seen));
	buf_clear(&w->batch);
	w->n_batch = 0;
	stream_write(w);
}

void revoke_init(struct watcher *w)
{
	w->sock = -1;
	buf_init(&w->in, 2 * FRAME_MAX);
	buf_init(&w->out, REVOKE_OUT_MAX);
	buf_init(&w->batch, FRAME_MAX);
	update_leasing(w);
}

void revoke_done(struct watcher *w)
{
	w->waiter = NULL;
	stream_lost(w);
	buf_done(&w->in);
	buf_done(&w->out);
	buf_done(&w->batch);
}
