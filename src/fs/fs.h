/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs - the virtio-fs file server as a library: FUSE requests in, FUSE replies
 * out (linux/fuse.h, protocol 7.x as spoken by Linux 5.10 and later guests).
 * It knows no rings: the host of the device hands it descriptor chains that
 * were already turned into iovecs of guest memory.
 *
 * What the guest sees is one read-only directory whose entries are the exports,
 * "0", "1", ...; each is a host directory or a single host file. All host
 * access starts at the descriptors given to fs_export(); no path is ever opened
 * from a root, no symlink is ever followed, nothing but regular files and
 * directories is ever opened.
 *
 * Input is hostile: request bytes live in memory that the guest can change at
 * any time. Headers and names are copied once and then checked; file data goes
 * between the host's files and the guest's pages without a copy.
 *
 * Threads: fs_request() may run in any number of worker threads at once, one
 * request per worker number. Everything else belongs to the loop's thread.
 * The library owns all descriptors it is given.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "base/err.h"
#include "base/loop.h"
#include <sys/uio.h>

#define FS_WORKERS_MAX 16u
/* A chain may have this many elements each way; longer ones are refused. */
#define FS_IOV_MAX 1024u
/* Largest WRITE payload and READ reply, and what INIT offers (256 pages). */
#define FS_IO_MAX (1024u * 1024u)

struct fs;

struct fs_config {
	/* How the calling user's ids look in the guest (and back). */
	uint32_t guest_uid;
	uint32_t guest_gid;
	unsigned n_workers; /* 1..FS_WORKERS_MAX */
	/* Validity of names and attributes that nobody would take back. */
	uint32_t timeout_ms;
	/* Validity while the watcher and the guest's agent take changes back. */
	uint32_t lease_ms;
	/* How long fs_settle() waits for an agent that acknowledges nothing. */
	uint32_t settle_ms;
	/* Descriptors the server may hold; 0 takes what RLIMIT_NOFILE leaves. */
	uint32_t max_fds;
};

/* 1000:1000, 1 worker, timeout 0 ms, lease 30 s, settle 5 s. */
extern const struct fs_config fs_config_default;

/*
 * Raises RLIMIT_NOFILE to its hard limit, sets umask 0, drops CAP_FSETID (a
 * write by the guest must take set-id bits away). The process that calls it is
 * the one that serves; descriptors are opened again through /proc/self/fd,
 * which must exist there as long as it does. 0 or -errno with text.
 */
int fs_new(const struct fs_config *config, struct fs **ret, struct err *err);
/* No request may be running. */
void fs_free(struct fs *fs);

/*
 * Adds an export before the first request. fd is an O_PATH descriptor of a
 * directory or, with AMF_FILE, of a regular file; it is taken over in every
 * case. name is one path component. flags are AMF_* of wire/agent.h. 0 or
 * -errno with text.
 */
int fs_export(struct fs *fs, const char *name, int fd, uint32_t flags,
	struct err *err);

/*
 * Serves one request. in: what the driver wrote, in order; out: the space for
 * the reply. Returns how many bytes of out were filled; 0 means no reply
 * (FORGET, INTERRUPT, or a request too broken to answer): the chain is then
 * returned with length 0. Never blocks on anything but the host's disk.
 */
size_t fs_request(struct fs *fs, unsigned worker, const struct iovec *in,
	size_t n_in, const struct iovec *out, size_t n_out);

/*
 * The guest's driver was reset or went away: forgets all nodes and closes all
 * files. No request may be running. Exports stay.
 */
void fs_reset(struct fs *fs);

/*
 * What the guest knows, for a snapshot: nodes, names, open files. No request
 * may be running. The bytes are pure data; nothing of the host is touched by
 * either, but files that were open are opened again, and what is no longer
 * the same file is gone for the guest (-ESTALE, -EBADF). Files without a name
 * are lost. fs_save() appends to b: 0 or -ENOBUFS.
 *
 * fs_restore() wants a server with the same exports in the same order, and
 * treats its input as hostile: 0 or -EBADMSG, and then the guest is unknown.
 */
struct buf;
int fs_save(struct fs *fs, struct buf *b);
int fs_restore(struct fs *fs, const void *p, size_t len);

/*
 * Caches and the host's edits.
 *
 * fs_watch() starts noticing changes that others make to files whose names or
 * attributes the guest has cached. fs_share() gives the library a connected
 * stream to PORT_SHARE in the guest, over which it asks the agent to look
 * changed paths up again (wire/share.h); from then on the guest gets long
 * validities (lease_ms). Without either, or when the stream breaks or the
 * agent does not do its job, validities are timeout_ms.
 *
 * Causality: a program on the host that changes a file and then speaks to the
 * guest must find that the guest knows the change. So before host bytes are
 * passed on into the guest, ask fs_settle(): true means pass them on. False
 * means hold them: fn(arg) is called once, from the loop, when the guest has
 * acknowledged everything that was pending at this moment, or when nothing was
 * acknowledged for settle_ms, or after five times that. From then on nobody
 * waits until the agent has caught up. The share stream's own bytes are never
 * held.
 */
typedef void fs_settled_fn(void *arg);

int fs_watch(struct fs *fs, struct loop *loop, struct err *err);
/* Takes sock over, replaces an older one. */
void fs_share(struct fs *fs, int sock);
/* One waiter at a time: a second call with another fn replaces the first. */
bool fs_settle(struct fs *fs, fs_settled_fn *fn, void *arg);

/* Counters, for logs, tests and bench; read without a lock. */
struct fs_stats {
	uint64_t requests;
	uint64_t refused; /* malformed requests */
	uint64_t nodes;   /* known to the guest now */
	uint64_t files;   /* open now */
	uint64_t fds;     /* O_PATH descriptors held now */
	uint64_t watches; /* directories watched now */
	uint64_t events;  /* change events read */
	uint64_t revoked; /* paths taken back */
};
void fs_stats(const struct fs *fs, struct fs_stats *ret);

#endif
