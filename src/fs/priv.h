/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priv - what the files of src/fs share: the server object, the request in
 * hand, and the operations. Internal to src/fs.
 */
#ifndef FS_PRIV_H
#define FS_PRIV_H

#include "fs/node.h"
#include "wire/agent.h"
#include "wire/birth.h"
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>

/* Largest request apart from WRITE's data, and largest gathered reply. */
#define REQ_ARG_MAX (72u * 1024u)
#define REQ_OUT_MAX (72u * 1024u)
#define FD_DIR "/proc/self/fd"
#define SEQ_SLOTS 4096u
#define OVERFLOW_ID 65534u /* ids that have no counterpart on the other side */

struct export
{
	char *name;
	struct node *node;
	uint32_t flags; /* AMF_* */
};

/* An open file of the guest. Guarded by fs->lock. */
struct handle {
	uint64_t fh;
	int fd; /* O_RDONLY/O_WRONLY/O_RDWR; never O_APPEND or O_DIRECT */
	struct node *node; /* reference held */
	struct list of_node;
	uint32_t users;
	bool closing;
};

/* Scratch memory of one worker; used by one request at a time. */
struct worker {
	uint8_t arg[REQ_ARG_MAX] __attribute__((aligned(16)));
	uint8_t out[REQ_OUT_MAX] __attribute__((aligned(16)));
	uint8_t dents[8192] __attribute__((aligned(16)));
	struct iovec iov[FS_IOV_MAX];
};

/* A directory that is being listed, at some position. */
struct lister {
	uint64_t node; /* id */
	int fd;
};
#define LISTERS 64u

struct watcher;

struct fs {
	struct fs_config config;
	uint32_t uid, gid; /* the calling user on the host */
	int proc_fd;       /* FD_DIR */
	struct export exports[BIRTH_EXPORTS];
	unsigned n_exports;
	struct worker *workers;

	pthread_rwlock_t session; /* written by INIT, DESTROY, reset */
	/*
	 * Read while a descriptor is closed for good, written by RMDIR: the
	 * host's kernel spins in rmdir() as long as a removed file of that
	 * directory is being freed by somebody else (shrink_dcache_parent), and
	 * the guest may want the processor.
	 */
	pthread_rwlock_t closing;
	pthread_mutex_t lock;
	bool ready;          /* INIT was answered */
	struct node **nodes; /* by the low half of the id */
	uint32_t n_nodes_cap;
	uint32_t *free_slots;
	uint32_t n_free;
	uint32_t generation;
	struct hlink *dead; /* nodes that fs_unlock() frees */
	struct table by_ident;
	struct table by_name;
	struct table by_wd;
	struct list lru;
	_Atomic uint32_t n_lru;
	_Atomic uint32_t n_pinned;
	struct volume volumes[FS_VOLUMES_MAX];
	unsigned n_volumes;
	struct handle **handles;
	uint32_t handles_cap;
	_Atomic uint32_t n_handles;
	uint32_t next_handle;
	struct lister lister[LISTERS];
	uint32_t next_lister;
	uint32_t max_dir_fds, max_pinned, max_handles;

	/* Bumped by the watcher for each event; see lease.c. */
	_Atomic uint32_t seq[SEQ_SLOTS];
	_Atomic bool leasing;    /* watcher and agent both do their job */
	_Atomic uint32_t drains; /* readings of the event queue, from 1 */
	int inotify;             /* -1 until fs_watch() */
	struct watcher *watcher;

	_Atomic uint64_t n_requests, n_refused, n_nodes, n_events, n_revoked;
	_Atomic uint64_t n_watches;
};

/* The request in hand. */
struct req {
	struct fs *fs;
	struct worker *w;
	struct fuse_in_header head; /* checked copy */
	const void *arg;            /* fixed part, in w->arg */
	size_t arg_len;             /* with names and data */
	const char *name[2];        /* NUL-terminated, in w->arg */
	const uint8_t *tail;        /* what follows the fixed part */
	size_t tail_len;
	const struct iovec *in; /* all of it; WRITE takes its data from here */
	size_t n_in;
	const struct iovec *out;
	size_t n_out;
	size_t out_space; /* for the reply without its header */
	size_t out_len;   /* bytes in w->out, or already in place */
	bool in_place;    /* the reply's payload is in guest memory already */
};

/* Appends to the reply; its size never depends on the guest unchecked. */
void req_reply(struct req *rq, const void *p, size_t len);
/* The slice [off, off + len) of an iovec array; elements used. */
size_t iov_slice(const struct iovec *from, size_t n, size_t off, size_t len,
	struct iovec *to, size_t max);

/* attr.c: ids and attributes on both sides. */
uint32_t uid_to_guest(const struct fs *fs, uint32_t uid);
uint32_t gid_to_guest(const struct fs *fs, uint32_t gid);
bool node_is_ro(const struct fs *fs, const struct node *n);
struct lease;
void fill_attr(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, struct fuse_attr_out *ret);
void fill_entry(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, struct fuse_entry_out *ret);
void fill_root(const struct fs *fs, struct fuse_attr *ret);

/*
 * lease.c: how long an answer may be kept. A lease is taken before the host is
 * asked and used to fill the answer: had anything changed between, the watcher
 * would have moved the counter, and the answer is good for now only.
 */
struct lease {
	int64_t now; /* coarse clock before the host was asked */
	uint32_t now_ns;
	bool entry_ok, attr_ok;
	_Atomic uint32_t *entry_slot, *attr_slot;
	uint32_t entry_seq, attr_seq;
	const struct node *node; /* if known then; only compared */
	uint32_t changes;        /* of node */
	uint32_t own;            /* of its changes in progress: ours */
};
/* For name in dir; watches dir if it can. */
struct lease lease_child(struct nref *dir, const char *name);
/* For the attributes of r->node by itself. */
struct lease lease_node(struct nref *r);
/* r->node turned out to be a directory: its own watch guards its attributes. */
void lease_dir(struct lease *l, struct nref *r);
uint64_t lease_entry_ms(const struct fs *fs, const struct lease *l);
uint64_t lease_attr_ms(
	const struct fs *fs, const struct lease *l, const struct statx *stx);
_Atomic uint32_t *seq_slot(
	struct fs *fs, const struct node *dir, const char *name);
/* Could a change after the sample carry this very ctime? */
bool lease_racy(const struct lease *l, const struct statx *stx);
/*
 * With the lock held: the guest is told this about n. False when it must not
 * keep it. hidden: it must see another mtime this once (node.h, data_event).
 */
bool told_set(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l, bool *ret_hidden);
/*
 * A request that changes n: in between, the watcher puts events about it off,
 * for it cannot know yet whose they are. done: it happened, and the guest
 * discards by itself what it knew of n's times (CHANGE_CTIME) or of size and
 * times (CHANGE_DATA) when it gets our reply. Ended by scope; n must outlive it.
 */
enum change_kind { CHANGE_CTIME, CHANGE_DATA };
struct change {
	struct fs *fs;
	struct node *node;
	enum change_kind kind;
	bool done;
};
#define _cleanup_change_ _cleanup_(change_end)
struct change change_begin(
	struct fs *fs, struct node *n, enum change_kind kind);
void change_end(struct change *c);
/* The guest reads n's listing from the start and will keep it. */
void listing_begins(struct fs *fs, struct node *n);
/*
 * A change of n's own ctime by the guest (chmod, rename of n): begin before,
 * with its state then, end after it, with the new state. What the guest knows
 * is as true as before.
 */
bool own_ctime_begin(struct fs *fs, struct node *n, const struct statx *stx);
void own_ctime_end(struct fs *fs, struct node *n, const struct statx *stx);
/*
 * The guest opens n, whose state is stx: may it keep the pages it has? If not
 * it drops them, and what it reads from now on is at least this version.
 */
bool pages_kept(struct fs *fs, struct node *n, const struct statx *stx,
	const struct lease *l);

/* The answer to a look-up of name in dir, which stx describes. */
int entry_of(struct nref *dir, const char *name, const struct statx *stx,
	struct lease *lease, struct fuse_entry_out *ret);

/* dir.c */
void lister_drop_all(struct fs *fs);

/* With the session held alone: forgets what the guest knew. */
void fs_drop(struct fs *fs);

/* handle.c */
int handle_add(struct fs *fs, struct node *n, int fd, uint64_t *ret_fh);
/* For fs_restore(), with the lock held; fd stays the caller's on failure. */
int handle_make(struct fs *fs, uint64_t fh, struct node *n, int fd);
struct handle *handle_get(struct fs *fs, uint64_t fh);
void handle_put(struct fs *fs, struct handle *h);
void handle_close(struct fs *fs, struct handle *h);
void handle_drop_all(struct fs *fs);
struct href {
	struct fs *fs;
	struct handle *h;
};
#define _cleanup_href_ _cleanup_(href_done)
void href_done(struct href *r);
int href_get(struct href *r, uint64_t fh);
/* Opens an O_PATH descriptor of a regular file or directory for I/O. */
int fd_reopen(const struct fs *fs, int fd, int flags);
/* "N" for use relative to proc_fd. */
const char *fd_name(int fd, char buf[16]);
/* The whole path, for calls that take no directory. */
const char *fd_path(int fd, char buf[32]);

/* watch.c: from any thread. */
void watch_free(struct fs *fs);
/* Watches r->node (a directory with a descriptor); true if it is watched. */
bool watch_dir(struct nref *r);
/* With the lock held, when the node dies. */
void watch_gone(struct fs *fs, struct node *n);

/* The operations: 0 with the reply appended, or -errno. */
int op_lookup(struct req *rq);
int op_forget(struct req *rq);
int op_batch_forget(struct req *rq);
int op_getattr(struct req *rq);
int op_setattr(struct req *rq);
int op_readlink(struct req *rq);
int op_symlink(struct req *rq);
int op_mknod(struct req *rq);
int op_mkdir(struct req *rq);
int op_unlink(struct req *rq);
int op_rmdir(struct req *rq);
int op_rename(struct req *rq);
int op_rename2(struct req *rq);
int op_link(struct req *rq);
int op_open(struct req *rq);
int op_create(struct req *rq);
int op_tmpfile(struct req *rq);
int op_read(struct req *rq);
int op_write(struct req *rq);
int op_statfs(struct req *rq);
int op_release(struct req *rq);
int op_fsync(struct req *rq);
int op_setxattr(struct req *rq);
int op_getxattr(struct req *rq);
int op_listxattr(struct req *rq);
int op_removexattr(struct req *rq);
int op_readdir(struct req *rq);
int op_readdirplus(struct req *rq);
int op_fsyncdir(struct req *rq);
int op_fallocate(struct req *rq);
int op_lseek(struct req *rq);
int op_copy_file_range(struct req *rq);
int op_syncfs(struct req *rq);

#endif
