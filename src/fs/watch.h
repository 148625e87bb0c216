/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - the watcher: inotify on the directories whose children the guest has
 * cached, and the stream to the guest's agent over which caches are taken
 * back. Internal to src/fs; all of it belongs to the loop's thread.
 *
 * The events cannot tell the host's changes from those this server makes for
 * the guest. So an event is only a hint: what is there now is compared with
 * what the guest was told (and still trusts), and only a difference is taken
 * back. Most of the guest's own changes need no look at the file at all.
 */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include "fs/priv.h"
#include "wire/share.h"

#define WATCH_MAX 32768u
#define GATHER_MS 3u
#define PUT_OFF_MAX 64u
#define REVOKE_BATCH 64u          /* paths in a frame */
#define REVOKE_WINDOW 4u          /* frames that may wait for their answer */
#define REVOKE_OUT_MAX (1u << 20) /* bytes of frames on their way */
#define REVOKE_PATH_MAX 4000u
#define REVOKE_FAILS 3u
#define REVOKE_SEEN 1024u

/* One changed name of a frame, looked at again when it is acknowledged. */
struct probe {
	uint64_t dir; /* node id; 0: none */
	char name[FS_NAME_MAX + 1];
};

/* An event about something that a request is changing: looked at later. */
struct put_off {
	struct node *dir; /* reference held */
	uint32_t mask;
	uint32_t reading;           /* the one that found it */
	char name[FS_NAME_MAX + 1]; /* "": dir itself */
};

struct watcher {
	struct fs *fs;
	struct loop *loop;
	struct watch events; /* of fs->inotify */
	struct timer gather;
	struct put_off later[PUT_OFF_MAX];
	unsigned n_later;
	uint32_t reading; /* fs->drains when the event in hand was read */
	bool now;         /* somebody waits: nothing is put off */

	int sock; /* to the agent, or -1 */
	struct watch stream;
	struct buf in, out;
	uint64_t sent, acked; /* frame numbers */

	struct buf batch; /* body of the frame being built */
	unsigned n_batch;
	uint64_t seen[REVOKE_SEEN]; /* hashes of its paths */
	struct probe probe;         /* of the frame being built */
	struct probe probing;       /* of frame probing_seq */
	uint64_t probing_seq;
	unsigned fails;   /* acknowledged but not looked up, in a row */
	bool useless;     /* the agent does not do its job */
	bool lagging;     /* a waiter gave up; until it caught up */
	bool rescan;      /* events were lost: compare everything */
	uint32_t scan_at; /* next node slot of the rescan */

	fs_settled_fn *waiter;
	void *waiter_arg;
	uint64_t waiter_seq;
	uint64_t waiter_since_ms;
	struct timer timer;
};

/* revoke.c */
void revoke_init(struct watcher *w);
void revoke_done(struct watcher *w);
/* The guest must look up name in dir again (or dir itself if name is ""). */
void revoke_name(
	struct watcher *w, struct node *dir, const char *name, bool entry_gone);
/* Sends what was collected. */
void revoke_flush(struct watcher *w);
bool revoke_room(const struct watcher *w);
/*
 * watch.c: reads all events that are there. now: also looks at what would be
 * clearer a moment later, at the price of taking back too much.
 */
void watch_drain(struct watcher *w, bool now);
/* Compares what the guest was told with the host; may be called in pieces. */
void watch_rescan(struct watcher *w);

#endif
