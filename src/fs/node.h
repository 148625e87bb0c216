/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node - what the guest knows: inodes (nodes) and the names (links) under
 * which it may have cached them. Internal to src/fs.
 *
 * A node holds no descriptor by itself, or a tree of 100,000 files would need
 * as many: files are opened for the moment of one request, directories keep
 * an O_PATH descriptor in a bounded LRU. A node is found again through its
 * newest link, and whatever is found there must have the node's identity
 * (device, inode number, birth time, type), else the guest is told -ESTALE and
 * its kernel looks the path up anew. A node whose last name the guest removed
 * cannot be found again, so it keeps its descriptor ("pinned") until forgotten.
 *
 * fs->lock guards every field here except where noted; no system call is made
 * under it. References (refs) are held by running requests, by open handles
 * and by links that name a node as their directory.
 */
#ifndef FS_NODE_H
#define FS_NODE_H

#include "base/list.h"
#include "fs/fs.h"
#include <sys/stat.h>

#define FS_NODES_MAX (1u << 20)
#define FS_NAME_MAX 255u
#define FS_VOLUMES_MAX 1024u
/* Directories that may be walked up and reopened to find a node again. */
#define FS_DEPTH_MAX 1024u

/* A host file system (st_dev) that was met below an export. */
struct volume {
	uint64_t dev;
	uint64_t mix;   /* XORed into inode numbers */
	bool watchable; /* all changes are made through this kernel */
	bool refused;   /* procfs and its like: never entered */
};

struct hlink {
	struct hlink *next;
	uint64_t hash;
};

/* Intrusive hash table; grows by doubling. */
struct table {
	struct hlink **slot;
	size_t n_slots; /* power of two */
	size_t n;
};

struct node;
struct nref;

/*
 * The volume of the inode that stx describes, found as name in dirfd (or as
 * dirfd itself when name is empty). 0, -EACCES when it is never entered.
 */
int volume_find(struct fs *fs, int dirfd, const char *name,
	const struct statx *stx, uint16_t *ret);

struct link {
	struct hlink by_name; /* (dir, name) */
	struct node *dir;     /* reference held */
	struct node *node;
	struct list of_node; /* node->links, newest first */
	uint8_t len;
	char name[]; /* NUL-terminated */
};

/* What the guest was last told about a node; see watch.c. */
struct told {
	uint32_t gen; /* fs->drains then */
	int64_t mtime, ctime;
	uint64_t size;
	uint32_t mtime_ns, ctime_ns;
	uint32_t mode, uid, gid, nlink;
	bool data;     /* the guest still trusts mtime and size */
	bool ctime_ok; /* and ctime */
	bool racy;     /* sampled in the clock tick of the last change */
	/* Of a directory whose listing the guest may have kept ... */
	bool listed;
	bool listed_racy;   /* ... while racy, under the mtime it sees now */
	uint16_t salt;      /* XORed into the mtime that it sees */
	uint16_t last_salt; /* used so far */
	uint32_t max_mtime_ns;
	int64_t max_mtime; /* latest real one that it was told */
};

struct node {
	uint64_t id;
	struct hlink by_ident;
	uint64_t ino;
	int64_t btime;
	uint32_t btime_ns;
	uint32_t type; /* S_IFMT bits */
	uint16_t volume;
	uint16_t export; /* index; FS_NO_EXPORT for the root */
	uint32_t refs;
	uint64_t nlookup;
	struct list links;
	struct list handles;
	int fd; /* O_PATH, or -1 */
	uint32_t fd_users;
	struct list lru; /* directories with a descriptor */
	bool permanent;  /* the root and the exports */
	bool pinned;     /* fd is the only way back to the inode */
	int wd;          /* inotify watch, or -1 */
	struct hlink by_wd;
	struct told told;
	/*
	 * The contents changed while mtime did not move: the next answer shows
	 * another mtime once, so that the guest drops the pages it has.
	 */
	bool data_event;
	uint32_t busy;    /* requests that are changing it right now */
	uint32_t changes; /* begun and ended ones */
	uint32_t own_gen; /* fs->drains at our own last write; 0: none */
	/* What the guest has in its page cache was read at this ctime. */
	bool seen;
	int64_t seen_ctime;
	uint32_t seen_ctime_ns;
};

#define FS_NO_EXPORT 0xffffu

void table_done(struct table *t);
void table_add(struct table *t, struct hlink *h, uint64_t hash);
void table_del(struct table *t, struct hlink *h);
struct hlink *table_first(const struct table *t, uint64_t hash);
struct hlink *table_next(const struct hlink *h);

void fs_lock(struct fs *fs);
void fs_unlock(struct fs *fs);

/* A reference to the node the guest calls id, or NULL. */
struct node *node_get(struct fs *fs, uint64_t id);
struct node *node_ref(struct fs *fs, struct node *n);
void node_put(struct fs *fs, struct node *n);
/* The root (stx NULL) or an export's top, never forgotten. Takes fd. */
struct node *node_permanent(struct fs *fs, uint16_t export, uint16_t volume,
	int fd, const struct statx *stx);
/*
 * The guest learns that name in dir is the inode stx describes: finds or makes
 * the node, records the link, counts one lookup, returns a reference. 0,
 * -ENFILE when too many nodes are known, -EACCES for a refused volume.
 */
int node_enter(struct nref *dir, const char *name, const struct statx *stx,
	struct node **ret);
/*
 * The same for an inode without a name (O_TMPFILE), open at fd: it lives by
 * its open handle.
 */
int node_nameless(
	struct nref *dir, int fd, const struct statx *stx, struct node **ret);
void node_forget(struct fs *fs, uint64_t id, uint64_t n);
bool node_is(
	const struct fs *fs, const struct node *n, const struct statx *stx);
/* Drops every node except the permanent ones. */
void node_drop_all(struct fs *fs);
void node_free_permanent(struct fs *fs, struct node *n);

/*
 * For fs_restore(), with the lock held, on a server that knows nobody but the
 * permanent nodes. node_make(): NULL when the id is taken or impossible.
 * node_slots(): after the last one.
 */
struct node_state {
	uint64_t id;
	uint64_t nlookup;
	uint64_t ino;
	int64_t btime;
	uint32_t btime_ns;
	uint32_t type;
	uint16_t volume;
	uint16_t export;
};
struct node *node_make(struct fs *fs, const struct node_state *s);
void link_make(
	struct fs *fs, struct node *dir, const char *name, struct node *n);
void node_slots(struct fs *fs);

/* With the lock held. */
struct node *node_find(struct fs *fs, uint16_t export, uint16_t volume,
	const struct statx *stx);
struct link *link_find(struct fs *fs, const struct node *dir, const char *name);
void link_remove(struct fs *fs, struct link *l);
/* Takes the lock. Forget that name in dir is cached. */
void link_drop(struct fs *fs, struct node *dir, const char *name);
void link_rename(struct fs *fs, struct node *dir, const char *name,
	struct node *newdir, const char *newname, bool exchange);

/*
 * A node in use by a request: a reference, and a descriptor when asked for.
 * Define with nref_of(), cleaned up by scope.
 */
struct nref {
	struct fs *fs;
	struct node *node;
	int fd;    /* O_PATH, or -1 */
	bool own;  /* fd is closed with the reference */
	bool used; /* node->fd_users counts us */
};
#define _cleanup_nref_ _cleanup_(nref_done)
#define nref_of(fs_)                  \
	{                             \
		.fs = (fs_), .fd = -1 \
	}
void nref_done(struct nref *r);
/* Fills r->node. -ESTALE when the guest has no such node. */
int nref_get(struct nref *r, uint64_t id);
/* As nref_get with a descriptor; -ENOTDIR unless it is a directory. */
int nref_dir(struct nref *r, uint64_t id);
/* Adds a descriptor to r->node; -ESTALE if the inode cannot be found. */
int nref_fd(struct nref *r);
/* As nref_fd, and the newest name must still lead to the inode. */
int nref_fd_named(struct nref *r);
/*
 * The host state of r->node. -ESTALE makes the guest's kernel walk the path
 * again, past its caches.
 */
int nref_stat(struct nref *r, struct statx *ret);
/* A child by name: a descriptor of what is there now, no node needed. */
int child_open(const struct nref *dir, const char *name);
/*
 * Before the guest removes or replaces name in dir: makes sure that a node
 * which loses its last name is still reachable. Returns the node with a
 * descriptor in r, or with r->node NULL when the guest knows none there.
 */
void child_hold(const struct nref *dir, const char *name, struct nref *r);
/* After it happened: pins the descriptor if that was the last name. */
void child_removed(struct nref *r);

int fd_stat(int fd, struct statx *ret);
int name_stat(int dirfd, const char *name, struct statx *ret);

#endif
