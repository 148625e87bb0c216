/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree - a file tree over a byte stream, for `cove cp`: the command line on one
 * end, a child of the guest's agent on the other. Blocking on purpose: both
 * ends are processes that do nothing else. Regular files, directories and
 * symbolic links with their permission bits and modification times; devices,
 * sockets and fifos are left out and counted; hard links become files of their
 * own; owners are the receiving process's.
 *
 * Frames (wire/agent.h), depth first:
 *
 *   ENTRY  a file (then DATA frames of AT_SIZE bytes in all), a symbolic link,
 *          or a directory, whose entries follow until
 *   UP     ends the directory that was entered last
 *   TREE_END  after the one root entry. AT_SIZE: how many were left out
 *   FAILED    instead of any of these: the sender gives up
 *
 * A name is always one component, so a path is never looked up: each entry is
 * made relative to the descriptor of its directory, without following links.
 * The root's name "." means "the contents, not the directory itself".
 *
 * The receiver takes nothing on trust: counts, sizes and depth are bounded. A
 * receiver on the host gives the name it asked for (tree_opts.name): a guest
 * must not choose what is written next to it.
 */
#ifndef COPY_TREE_H
#define COPY_TREE_H

#include "base/buf.h"
#include "base/err.h"
#include <sys/types.h>

#define TREE_DEPTH_MAX 128u
#define TREE_ENTRIES_MAX 4000000u

struct tree_count {
	uint64_t entries;
	uint64_t bytes;
	uint64_t skipped; /* devices, sockets, fifos */
};

/* Zero-initialised is right for a receiver that trusts the sender. */
struct tree_opts {
	const char *name;     /* overrides the sender's name of the root */
	mode_t mode_mask;     /* permission bits that are kept; 0 means 07777 */
	uint64_t max_entries; /* 0 means TREE_ENTRIES_MAX */
	/* Called now and then with what has been moved so far; may be NULL. */
	void (*progress)(void *arg, const struct tree_count *count);
	void *arg;
};

/*
 * The name under which a source path arrives: its last component, or "." for
 * paths that end in "/.", and for "/", "." and "..". -ENAMETOOLONG.
 */
int tree_name(const char *path, char ret_name[256]);

/*
 * The two exchanges as the command line has them; fd is a fresh exec stream.
 * user may be NULL. A path is placed as `cp -R` and docker cp do it: into dst
 * when that is a directory, else as dst; see tree_place() in place.h.
 * 0, or -errno with text from whichever end failed.
 */
int tree_put(int fd, const char *src, const char *dst, const char *user,
	const struct tree_opts *opts, struct tree_count *ret, struct err *err);
int tree_get(int fd, const char *src, const char *dst, const char *user,
	const struct tree_opts *opts, struct tree_count *ret, struct err *err);

/*
 * The agent's end, after the GET or PUT frame was taken off the stream; in
 * holds what was read past it. They answer with TREE_END, DONE or FAILED.
 */
int tree_serve_get(int fd, const char *path, struct err *err);
int tree_serve_put(int fd, struct buf *in, const char *path, struct err *err);

/*
 * The halves, for tests. tree_send stops with -ECONNABORTED when the other end
 * speaks up before its turn. tree_recv reads frames from in, then from fd.
 */
int tree_send(int fd, const char *path, const struct tree_opts *opts,
	struct tree_count *ret, struct err *err);
int tree_recv(int fd, struct buf *in, const char *dst,
	const struct tree_opts *opts, struct tree_count *ret, struct err *err);

/* What tree_recv needs of in: a whole frame and the next one's beginning. */
#define TREE_IN_MAX (256u * 1024u)

#endif
