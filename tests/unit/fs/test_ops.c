/* SPDX-License-Identifier: Apache-2.0 */
/* What the operations do when everybody behaves. */
#include "client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static int open_world(void **state)
{
	struct world *w = xnew(struct world);
	struct fs_config config = fs_config_default;

	world_open(w, &config);
	w->c.piece = 0;
	*state = w;
	return 0;
}

/* The same with "guest memory" in pieces of 7 bytes. */
static int open_pieces(void **state)
{
	open_world(state);
	((struct world *)*state)->c.piece = 7;
	return 0;
}

static int close_world(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

static void test_init(void **state)
{
	struct world *w = *state;
	struct fuse_init_in in = {.major = 7, .minor = 36, .flags = ~0u};
	const struct fuse_init_out *out;

	assert_int_equal(
		call(&w->c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), 0);
	out = payload(&w->c);
	assert_int_equal(w->c.out_len, sizeof(*out));
	assert_int_equal(out->major, 7);
	assert_int_equal(out->minor, 36);
	assert_int_equal(out->max_write, FS_IO_MAX);
	assert_int_equal(out->max_pages, 256);
	assert_false(out->flags & FUSE_WRITEBACK_CACHE);
	assert_false(out->flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS));
	assert_true(out->flags & FUSE_DO_READDIRPLUS);
	in.major = 8;
	assert_int_equal(
		call(&w->c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), -EPROTO);
	in.major = 7;
	in.minor = 20;
	assert_int_equal(
		call(&w->c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0), -EPROTO);
}

static void test_root(void **state)
{
	struct world *w = *state;
	struct fuse_attr a;
	struct fuse_entry_out e;
	struct fuse_open_out o;

	assert_int_equal(getattr(&w->c, FUSE_ROOT_ID, &a), 0);
	assert_int_equal(a.mode, S_IFDIR | 0555);
	assert_int_equal(lookup(&w->c, FUSE_ROOT_ID, "0", &e), 0);
	assert_int_equal(e.attr.mode & S_IFMT, S_IFDIR);
	assert_int_equal(lookup(&w->c, FUSE_ROOT_ID, "2", &e), 0);
	assert_int_equal(e.attr.mode & S_IFMT, S_IFREG);
	assert_int_equal(lookup(&w->c, FUSE_ROOT_ID, "3", &e), -ENOENT);
	/* Nothing can be made, removed or moved in it. */
	assert_int_equal(
		call_name(&w->c, FUSE_UNLINK, FUSE_ROOT_ID, NULL, 0, "2"),
		-EROFS);
	assert_int_equal(call_name(&w->c, FUSE_MKDIR, FUSE_ROOT_ID,
				 &(struct fuse_mkdir_in){.mode = 0755},
				 sizeof(struct fuse_mkdir_in), "x"),
		-EROFS);
	assert_int_equal(
		open_node(&w->c, FUSE_OPEN, FUSE_ROOT_ID, 0, &o), -EISDIR);
}

static void test_ids(void **state)
{
	struct world *w = *state;
	struct fuse_entry_out e;

	file_put(at(w, "rw/mine"), "x");
	assert_int_equal(lookup(&w->c, walk(&w->c, "0"), "mine", &e), 0);
	assert_int_equal(e.attr.uid, 1000);
	assert_int_equal(e.attr.gid, 1000);
	if (geteuid() != 0)
		return; /* only root can make the rest */
	file_put(at(w, "rw/other"), "x");
	assert_int_equal(chown(at(w, "rw/other"), 4242, 4243), 0);
	assert_int_equal(lookup(&w->c, walk(&w->c, "0"), "other", &e), 0);
	assert_int_equal(e.attr.uid, 65534);
	assert_int_equal(e.attr.gid, 65534);
}

static void test_create_read_write(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node, fh;
	struct fuse_attr a;
	struct stat st;

	assert_int_equal(create(&w->c, dir, "f", O_RDWR, 0640, &node, &fh), 0);
	assert_int_equal(stat(at(w, "rw/f"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(write_at(&w->c, node, fh, 0, "hello", 0), 0);
	assert_int_equal(write_at(&w->c, node, fh, 1, "ipp", 0), 0);
	/* An append goes to the end, wherever the guest thinks that is. */
	assert_int_equal(write_at(&w->c, node, fh, 2, "!!", O_APPEND), 0);
	assert_int_equal(read_at(&w->c, node, fh, 0, 100), 7);
	assert_memory_equal(payload(&w->c), "hippo!!", 7);
	assert_int_equal(read_at(&w->c, node, fh, 4, 2), 2);
	assert_memory_equal(payload(&w->c), "o!", 2);
	assert_int_equal(read_at(&w->c, node, fh, 7, 2), 0);
	assert_int_equal(getattr(&w->c, node, &a), 0);
	assert_int_equal(a.size, 7);
	assert_int_equal(
		create(&w->c, dir, "f", O_EXCL, 0640, &node, &fh), -EEXIST);
	assert_int_equal(release(&w->c, FUSE_RELEASE, node, fh), 0);
	assert_int_equal(read_at(&w->c, node, fh, 0, 1), -EBADF);
}

static void test_unlinked_open_file(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node, fh;
	struct fuse_open_out again;
	struct fuse_attr a;

	assert_int_equal(create(&w->c, dir, "f", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(write_at(&w->c, node, fh, 0, "data", 0), 0);
	assert_int_equal(call_name(&w->c, FUSE_UNLINK, dir, NULL, 0, "f"), 0);
	assert_int_equal(getattr(&w->c, node, &a), 0);
	assert_int_equal(a.nlink, 0);
	assert_int_equal(a.size, 4);
	assert_int_equal(read_at(&w->c, node, fh, 0, 9), 4);
	file_put(at(w, "rw/f"), "another");
	assert_int_equal(open_node(&w->c, FUSE_OPEN, node, O_RDWR, &again), 0);
	assert_int_equal(read_at(&w->c, node, again.fh, 0, 9), 4);
	assert_int_equal(release(&w->c, FUSE_RELEASE, node, again.fh), 0);
	assert_int_equal(release(&w->c, FUSE_RELEASE, node, fh), 0);
	/* Still known to the guest: still the same inode. */
	assert_int_equal(getattr(&w->c, node, &a), 0);
	assert_int_equal(a.size, 4);
	forget(&w->c, node, 1);
	assert_int_equal(getattr(&w->c, node, &a), -ESTALE);
}

static void test_hard_links(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node, fh, other;
	struct fuse_attr a;

	assert_int_equal(create(&w->c, dir, "a", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(link_to(&w->c, node, dir, "b"), 0);
	other = walk(&w->c, "0/b");
	assert_true(other == node);
	assert_int_equal(getattr(&w->c, node, &a), 0);
	assert_int_equal(a.nlink, 2);
	assert_int_equal(release(&w->c, FUSE_RELEASE, node, fh), 0);
	/* Either name may go; the node is found by the other. */
	assert_int_equal(call_name(&w->c, FUSE_UNLINK, dir, NULL, 0, "b"), 0);
	assert_int_equal(getattr(&w->c, node, &a), 0);
	assert_int_equal(a.nlink, 1);
	assert_int_equal(link_to(&w->c, walk(&w->c, "1/f"), dir, "x"), -EXDEV);
}

static void test_rename(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), a, b, fh_a, fh_b;
	struct fuse_attr attr;

	assert_int_equal(create(&w->c, dir, "a", O_RDWR, 0600, &a, &fh_a), 0);
	assert_int_equal(create(&w->c, dir, "b", O_RDWR, 0600, &b, &fh_b), 0);
	assert_int_equal(write_at(&w->c, b, fh_b, 0, "old b", 0), 0);
	assert_int_equal(rename_to(&w->c, dir, "a", dir, "b", 1), -EEXIST);
	assert_int_equal(rename_to(&w->c, dir, "a", dir, "b", 2), 0);
	assert_true(walk(&w->c, "0/a") == b);
	assert_int_equal(rename_to(&w->c, dir, "a", dir, "b", 0), 0);
	assert_true(walk(&w->c, "0/b") == b);
	/* The replaced file is still there for who has it open. */
	assert_int_equal(getattr(&w->c, a, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(rename_to(&w->c, dir, "b", dir, "c", 4), -EINVAL);
	assert_int_equal(
		rename_to(&w->c, dir, "b", walk(&w->c, "1"), "b", 0), -EXDEV);
	assert_int_equal(
		rename_to(&w->c, dir, "b", FUSE_ROOT_ID, "b", 0), -EXDEV);
	assert_int_equal(read_at(&w->c, b, fh_b, 0, 9), 5);
}

static void test_rename_directory(void **state)
{
	struct world *w = *state;
	uint64_t sub, file;
	struct fuse_attr a;

	assert_int_equal(mkdir(at(w, "rw/d"), 0755), 0);
	assert_int_equal(mkdir(at(w, "rw/d/e"), 0755), 0);
	file_put(at(w, "rw/d/e/f"), "deep");
	sub = walk(&w->c, "0/d/e");
	file = walk(&w->c, "0/d/e/f");
	assert_int_equal(rename_to(&w->c, walk(&w->c, "0"), "d",
				 walk(&w->c, "0"), "moved", 0),
		0);
	assert_int_equal(getattr(&w->c, file, &a), 0);
	assert_true(walk(&w->c, "0/moved/e") == sub);
}

static void test_setattr(void **state)
{
	struct world *w = *state;
	struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 0751};
	uint64_t node;
	struct stat st;

	file_put(at(w, "rw/f"), "0123456789");
	node = walk(&w->c, "0/f");
	assert_int_equal(setattr(&w->c, node, &in), 0);
	assert_int_equal(stat(at(w, "rw/f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 4};
	assert_int_equal(setattr(&w->c, node, &in), 0);
	in = (struct fuse_setattr_in){
		.valid = FATTR_ATIME | FATTR_MTIME | FATTR_MTIME_NOW,
		.atime = 1000000000,
		.atimensec = 5};
	assert_int_equal(setattr(&w->c, node, &in), 0);
	assert_int_equal(stat(at(w, "rw/f"), &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(st.st_atim.tv_sec, 1000000000);
	assert_int_equal(st.st_atim.tv_nsec, 5);
	assert_true(st.st_mtim.tv_sec > 1600000000);
	in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = UINT64_MAX};
	assert_int_equal(setattr(&w->c, node, &in), -EFBIG);
}

static void test_owner_rule(void **state)
{
	struct world *w = *state;
	struct fuse_setattr_in in = {
		.valid = FATTR_UID | FATTR_GID, .uid = 1000, .gid = 1000};
	uint64_t node;
	struct stat st;

	file_put(at(w, "rw/f"), "x");
	node = walk(&w->c, "0/f");
	assert_int_equal(setattr(&w->c, node, &in), 0);
	/* Root's files belong to the caller like everybody's. */
	in.uid = in.gid = 0;
	assert_int_equal(setattr(&w->c, node, &in), 0);
	in.gid = 1000;
	in.uid = 33;
	assert_int_equal(setattr(&w->c, node, &in), -EPERM);
	in.uid = 65534;
	assert_int_equal(setattr(&w->c, node, &in), -EPERM);
	in.uid = 1000;
	in.gid = 5;
	assert_int_equal(setattr(&w->c, node, &in), -EPERM);
	assert_int_equal(stat(at(w, "rw/f"), &st), 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_gid, getegid());
}

/* -- listings -- */

/* Reads a listing to its end; counts names and checks that none repeats. */
static int list_all(struct world *w, uint64_t dir, uint32_t op, uint32_t size,
	unsigned *ret_requests)
{
	static char seen[4096];
	uint64_t off = 0;
	int n = 0;

	memset(seen, 0, sizeof(seen));
	for (*ret_requests = 1;; ++*ret_requests) {
		struct fuse_read_in in = {.offset = off, .size = size};
		const uint8_t *p, *end;

		assert_int_equal(
			call(&w->c, op, dir, &in, sizeof(in), NULL, 0), 0);
		if (!w->c.out_len)
			break;
		assert_true(w->c.out_len <= size);
		p = payload(&w->c);
		for (end = p + w->c.out_len; p < end;) {
			const struct fuse_direntplus *dp = (const void *)p;
			const struct fuse_dirent *d = op == FUSE_READDIRPLUS
				? &dp->dirent
				: (const void *)p;
			unsigned i;

			p += op == FUSE_READDIRPLUS ? FUSE_DIRENTPLUS_SIZE(dp)
						    : FUSE_DIRENT_SIZE(d);
			off = d->off;
			n++;
			char name[256];

			snprintf(name, sizeof(name), "%.*s", (int)d->namelen,
				d->name);
			if (sscanf(name, "entry-%u", &i) != 1)
				continue;
			assert_true(i < sizeof(seen) && !seen[i]);
			seen[i] = 1;
			if (op != FUSE_READDIRPLUS)
				continue;
			assert_true(dp->entry_out.nodeid != 0);
			forget(&w->c, dp->entry_out.nodeid, 1);
		}
	}
	return n;
}

static void test_listing(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0");
	struct fs_stats st;
	unsigned n;

	for (int i = 0; i < 300; i++) {
		char name[64];

		snprintf(name, sizeof(name), "rw/entry-%d", i);
		file_put(at(w, name), "");
	}
	assert_int_equal(list_all(w, dir, FUSE_READDIR, 4096, &n), 302);
	assert_true(n < 8);
	assert_int_equal(list_all(w, dir, FUSE_READDIRPLUS, 4096, &n), 302);
	assert_true(n < 18);
	assert_int_equal(list_all(w, dir, FUSE_READDIRPLUS, 65536, &n), 302);
	assert_int_equal(list_all(w, dir, FUSE_READDIR, 600, &n), 302);
	fs_stats(w->fs, &st);
	assert_int_equal(st.nodes, 4); /* the root and the exports */
	assert_int_equal(list_all(w, FUSE_ROOT_ID, FUSE_READDIR, 4096, &n), 5);
	assert_int_equal(
		list_all(w, FUSE_ROOT_ID, FUSE_READDIRPLUS, 400, &n), 5);
}

static uint64_t seen_mtime(struct world *w, uint64_t dir)
{
	struct fuse_attr a;

	assert_int_equal(getattr(&w->c, dir, &a), 0);
	return a.mtime * 1000000000u + a.mtimensec;
}

static uint64_t host_mtime(struct world *w)
{
	struct stat st;

	assert_int_equal(stat(at(w, "rw/d"), &st), 0);
	return (uint64_t)st.st_mtim.tv_sec * 1000000000u +
		(uint64_t)st.st_mtim.tv_nsec;
}

/*
 * The guest keeps a listing until it sees another mtime: then, and only then,
 * it must see one.
 */
static void test_listing_kept(void **state)
{
	struct world *w = *state;
	struct timespec ts[2] = {{1000000000, 5}, {1000000000, 5}};
	uint64_t dir, before;
	unsigned n;

	assert_int_equal(mkdir(at(w, "rw/d"), 0755), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(w, "rw/d"), ts, 0), 0);
	dir = walk(&w->c, "0/d");
	clock_moves(w);
	before = seen_mtime(w, dir);
	assert_true(before == host_mtime(w));
	assert_int_equal(list_all(w, dir, FUSE_READDIR, 4096, &n), 2);
	assert_true(seen_mtime(w, dir) == before);
	/* Something came, and mtime was set back. */
	file_put(at(w, "rw/d/new"), "");
	assert_int_equal(utimensat(AT_FDCWD, at(w, "rw/d"), ts, 0), 0);
	assert_true(seen_mtime(w, dir) != before);
	assert_int_equal(seen_mtime(w, dir) / 1000, before / 1000);
	/* The guest's own chmod and rename change no names. */
	clock_moves(w);
	before = seen_mtime(w, dir);
	assert_int_equal(list_all(w, dir, FUSE_READDIR, 4096, &n), 3);
	assert_int_equal(setattr(&w->c, dir,
				 &(struct fuse_setattr_in){
					 .valid = FATTR_MODE, .mode = 0700}),
		0);
	assert_true(seen_mtime(w, dir) == before);
	assert_int_equal(rename_to(&w->c, walk(&w->c, "0"), "d",
				 walk(&w->c, "0"), "e", 0),
		0);
	assert_true(seen_mtime(w, dir) == before);
	assert_int_equal(rename_to(&w->c, walk(&w->c, "0"), "e",
				 walk(&w->c, "0"), "d", 0),
		0);
	/* When mtime really moves, it is the host's again. */
	file_put(at(w, "rw/d/newer"), "");
	assert_true(seen_mtime(w, dir) == host_mtime(w));
}

/* Listed in the clock tick of its last change: another may have followed. */
static void test_listing_too_fresh(void **state)
{
	struct world *w = *state;
	uint64_t dir, before;
	bool fresh = false;
	unsigned n;

	/* Until all of it fell into one tick. */
	for (int i = 0; i < 1000 && !fresh; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "rw/d%d", i);
		assert_int_equal(mkdir(at(w, name), 0755), 0);
		(void)snprintf(name, sizeof(name), "0/d%d", i);
		dir = walk(&w->c, name);
		before = seen_mtime(w, dir);
		/* Nothing was kept yet: nothing to take back. */
		assert_true(seen_mtime(w, dir) == before);
		assert_int_equal(list_all(w, dir, FUSE_READDIR, 4096, &n), 2);
		fresh = coarse_now() <= before;
	}
	assert_true(fresh);
	clock_moves(w);
	assert_true(seen_mtime(w, dir) != before);
	before = seen_mtime(w, dir);
	assert_int_equal(list_all(w, dir, FUSE_READDIR, 4096, &n), 2);
	assert_true(seen_mtime(w, dir) == before);
}

/* Names that stay come exactly once, whatever goes meanwhile. */
static void test_listing_changes(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), off = 0;
	struct fuse_read_in in = {.size = 600};
	int kept = 0;

	for (int i = 0; i < 200; i++) {
		char name[32];

		snprintf(name, sizeof(name), "rw/entry-%d", i);
		file_put(at(w, name), "");
	}
	for (;;) {
		const uint8_t *p, *end;
		char gone[16][32];
		int n = 0;

		in.offset = off;
		assert_int_equal(call(&w->c, FUSE_READDIR, dir, &in, sizeof(in),
					 NULL, 0),
			0);
		if (!w->c.out_len)
			break;
		p = payload(&w->c);
		for (end = p + w->c.out_len; p < end;) {
			const struct fuse_dirent *d = (const void *)p;
			char name[256];
			unsigned i;

			snprintf(name, sizeof(name), "%.*s", (int)d->namelen,
				d->name);
			p += FUSE_DIRENT_SIZE(d);
			off = d->off;
			if (sscanf(name, "entry-%u", &i) != 1)
				continue;
			if (i % 2)
				snprintf(gone[n++], 32, "rw/entry-%u", i);
			else
				kept++;
		}
		while (n)
			assert_int_equal(unlink(at(w, gone[--n])), 0);
	}
	assert_int_equal(kept, 100);
}

static void test_pages_kept(void **state)
{
	struct world *w = *state;
	struct fuse_open_out o;
	uint64_t node;

	file_put(at(w, "rw/f"), "one");
	node = walk(&w->c, "0/f");
	clock_moves(w);
	assert_int_equal(open_node(&w->c, FUSE_OPEN, node, 0, &o), 0);
	assert_int_equal(o.open_flags, 0);
	assert_int_equal(open_node(&w->c, FUSE_OPEN, node, 0, &o), 0);
	assert_int_equal(o.open_flags, FOPEN_KEEP_CACHE);
	file_put(at(w, "rw/f"), "two");
	assert_int_equal(open_node(&w->c, FUSE_OPEN, node, 0, &o), 0);
	assert_int_equal(o.open_flags, 0);
}

/* -- the rest -- */

static int xattr_call(struct client *c, uint32_t op, uint64_t node,
	const char *name, uint32_t size)
{
	struct fuse_getxattr_in in = {.size = size};

	if (op == FUSE_LISTXATTR)
		return call(c, op, node, &in, sizeof(in), NULL, 0);
	return call_name(c, op, node, &in, sizeof(in), name);
}

static int set_xattr(
	struct client *c, uint64_t node, const char *name, const char *value)
{
	struct fuse_setxattr_in in = {.size = (uint32_t)strlen(value)};
	char buf[512];
	size_t n = strlen(name) + 1;

	memcpy(buf, name, n);
	memcpy(buf + n, value, in.size);
	return call(c, FUSE_SETXATTR, node, &in, FUSE_COMPAT_SETXATTR_IN_SIZE,
		buf, n + in.size);
}

static void test_xattr(void **state)
{
	struct world *w = *state;
	uint64_t node;
	char value[8];

	file_put(at(w, "rw/f"), "x");
	node = walk(&w->c, "0/f");
	assert_int_equal(set_xattr(&w->c, node, "user.a", "one"), 0);
	assert_int_equal(getxattr(at(w, "rw/f"), "user.a", value, 8), 3);
	assert_int_equal(
		xattr_call(&w->c, FUSE_GETXATTR, node, "user.a", 0), 0);
	assert_int_equal(
		((const struct fuse_getxattr_out *)payload(&w->c))->size, 3);
	assert_int_equal(
		xattr_call(&w->c, FUSE_GETXATTR, node, "user.a", 64), 0);
	assert_int_equal(w->c.out_len, 3);
	assert_memory_equal(payload(&w->c), "one", 3);
	assert_int_equal(
		xattr_call(&w->c, FUSE_GETXATTR, node, "user.a", 2), -ERANGE);
	assert_int_equal(xattr_call(&w->c, FUSE_LISTXATTR, node, "", 64), 0);
	assert_int_equal(w->c.out_len, 7);
	assert_memory_equal(payload(&w->c), "user.a", 7);
	assert_int_equal(
		call_name(&w->c, FUSE_REMOVEXATTR, node, NULL, 0, "user.a"), 0);
	/* What means something to the host's kernel is not the guest's. */
	assert_int_equal(xattr_call(&w->c, FUSE_GETXATTR, node,
				 "security.capability", 64),
		-ENODATA);
	assert_int_equal(set_xattr(&w->c, node, "security.capability", "x"),
		-EOPNOTSUPP);
	assert_int_equal(set_xattr(&w->c, node, "trusted.overlay.opaque", "y"),
		-EOPNOTSUPP);
	assert_int_equal(set_xattr(&w->c, node, "system.posix_acl_access", "y"),
		-EOPNOTSUPP);
}

static void test_symlink(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node;
	char names[] = "link\0../secret/key";

	assert_int_equal(
		call(&w->c, FUSE_SYMLINK, dir, NULL, 0, names, sizeof(names)),
		0);
	node = walk(&w->c, "0/link");
	assert_int_equal(call(&w->c, FUSE_READLINK, node, NULL, 0, NULL, 0), 0);
	assert_int_equal(w->c.out_len, 13);
	assert_memory_equal(payload(&w->c), "../secret/key", 13);
	assert_int_equal(
		call(&w->c, FUSE_READLINK, dir, NULL, 0, NULL, 0), -EINVAL);
}

static void test_space(void **state)
{
	struct world *w = *state;
	uint64_t node, fh;
	struct fuse_fallocate_in fa = {.length = 65536};
	struct fuse_lseek_in ls = {.whence = SEEK_HOLE};
	struct fuse_attr a;

	assert_int_equal(
		create(&w->c, walk(&w->c, "0"), "f", O_RDWR, 0600, &node, &fh),
		0);
	fa.fh = ls.fh = fh;
	assert_int_equal(
		call(&w->c, FUSE_FALLOCATE, node, &fa, sizeof(fa), NULL, 0), 0);
	assert_int_equal(getattr(&w->c, node, &a), 0);
	assert_int_equal(a.size, 65536);
	fa.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	fa.offset = 4096;
	fa.length = 4096;
	assert_int_equal(write_at(&w->c, node, fh, 0, "x", 0), 0);
	assert_int_equal(
		call(&w->c, FUSE_FALLOCATE, node, &fa, sizeof(fa), NULL, 0), 0);
	assert_int_equal(
		call(&w->c, FUSE_LSEEK, node, &ls, sizeof(ls), NULL, 0), 0);
	assert_int_equal(
		((const struct fuse_lseek_out *)payload(&w->c))->offset, 4096);
	ls.whence = SEEK_SET;
	assert_int_equal(
		call(&w->c, FUSE_LSEEK, node, &ls, sizeof(ls), NULL, 0),
		-EINVAL);
	assert_int_equal(call(&w->c, FUSE_STATFS, node, NULL, 0, NULL, 0), 0);
	assert_int_equal(
		((const struct fuse_statfs_out *)payload(&w->c))->st.namelen,
		255);
}

static void test_copy(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), from, to;
	struct fuse_copy_file_range_in in = {.len = 100, .off_out = 2};

	assert_int_equal(
		create(&w->c, dir, "from", O_RDWR, 0600, &from, &in.fh_in), 0);
	assert_int_equal(
		create(&w->c, dir, "to", O_RDWR, 0600, &to, &in.fh_out), 0);
	assert_int_equal(write_at(&w->c, from, in.fh_in, 0, "copied", 0), 0);
	in.nodeid_out = to;
	assert_int_equal(call(&w->c, FUSE_COPY_FILE_RANGE, from, &in,
				 sizeof(in), NULL, 0),
		0);
	assert_int_equal(read_at(&w->c, to, in.fh_out, 0, 99), 8);
	assert_memory_equal(payload(&w->c), "\0\0copied", 8);
}

static void test_tmpfile(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node;
	struct fuse_create_in in = {.flags = O_RDWR, .mode = 0600};
	struct fuse_open_out open;
	struct stat st;

	assert_int_equal(
		call_name(&w->c, FUSE_TMPFILE, dir, &in, sizeof(in), "/"), 0);
	memcpy(&node, payload(&w->c), sizeof(node));
	memcpy(&open,
		(const uint8_t *)payload(&w->c) + sizeof(struct fuse_entry_out),
		sizeof(open));
	assert_int_equal(write_at(&w->c, node, open.fh, 0, "hidden", 0), 0);
	assert_int_equal(link_to(&w->c, node, dir, "named"), 0);
	assert_int_equal(stat(at(w, "rw/named"), &st), 0);
	assert_int_equal(st.st_size, 6);
	assert_true(walk(&w->c, "0/named") == node);
}

static void test_big_io(void **state)
{
	struct world *w = *state;
	uint64_t node, fh;
	struct fuse_write_in in = {.size = FS_IO_MAX};
	uint8_t *data = xcalloc(1, FS_IO_MAX);

	for (size_t i = 0; i < FS_IO_MAX; i++)
		data[i] = (uint8_t)(i * 7 + i / 4096);
	w->c.piece = 4096; /* as a guest's pages */
	assert_int_equal(
		create(&w->c, walk(&w->c, "0"), "f", O_RDWR, 0600, &node, &fh),
		0);
	in.fh = fh;
	assert_int_equal(
		call(&w->c, FUSE_WRITE, node, &in, sizeof(in), data, FS_IO_MAX),
		0);
	assert_int_equal(read_at(&w->c, node, fh, 0, FS_IO_MAX), FS_IO_MAX);
	assert_memory_equal(payload(&w->c), data, FS_IO_MAX);
	assert_int_equal(
		read_at(&w->c, node, fh, 5, UINT32_MAX), FS_IO_MAX - 5);
	free(data);
}

static void test_sync(void **state)
{
	struct world *w = *state;
	struct fuse_fsync_in in = {0};
	uint64_t node;

	assert_int_equal(create(&w->c, walk(&w->c, "0"), "f", O_RDWR, 0600,
				 &node, &in.fh),
		0);
	assert_int_equal(
		call(&w->c, FUSE_FSYNC, node, &in, sizeof(in), NULL, 0), 0);
	in.fsync_flags = FUSE_FSYNC_FDATASYNC;
	assert_int_equal(
		call(&w->c, FUSE_FSYNC, node, &in, sizeof(in), NULL, 0), 0);
	assert_int_equal(call(&w->c, FUSE_OPENDIR, walk(&w->c, "0"), &in,
				 sizeof(struct fuse_open_in), NULL, 0),
		-ENOSYS);
	assert_int_equal(call(&w->c, FUSE_FSYNCDIR, walk(&w->c, "0"), &in,
				 sizeof(in), NULL, 0),
		0);
	assert_int_equal(call(&w->c, FUSE_SYNCFS, FUSE_ROOT_ID,
				 &(struct fuse_syncfs_in){0},
				 sizeof(struct fuse_syncfs_in), NULL, 0),
		0);
	/* Never to be asked again. */
	assert_int_equal(call(&w->c, FUSE_FLUSH, node,
				 &(struct fuse_flush_in){.fh = in.fh},
				 sizeof(struct fuse_flush_in), NULL, 0),
		-ENOSYS);
}

static void test_destroy(void **state)
{
	struct world *w = *state;
	struct fs_stats st;
	uint64_t node, fh;

	assert_int_equal(
		create(&w->c, walk(&w->c, "0"), "f", O_RDWR, 0600, &node, &fh),
		0);
	assert_int_equal(call(&w->c, FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
	fs_stats(w->fs, &st);
	assert_int_equal(st.files, 0);
	assert_int_equal(st.nodes, 4);
	assert_int_equal(read_at(&w->c, node, fh, 0, 1), -ENOTCONN);
	assert_int_equal(call_init(&w->c), 0);
	assert_true(walk(&w->c, "0/f") != 0);
	fs_reset(w->fs);
	assert_int_equal(call_init(&w->c), 0);
	assert_true(walk(&w->c, "0/f") != 0);
}

#define IN_WORLD(t) cmocka_unit_test_setup_teardown(t, open_world, close_world)
#define IN_PIECES(t)                                                \
	{                                                           \
		"in pieces: " #t, t, open_pieces, close_world, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_init),
		IN_WORLD(test_root),
		IN_WORLD(test_ids),
		IN_WORLD(test_create_read_write),
		IN_PIECES(test_create_read_write),
		IN_WORLD(test_unlinked_open_file),
		IN_WORLD(test_hard_links),
		IN_WORLD(test_rename),
		IN_PIECES(test_rename),
		IN_WORLD(test_rename_directory),
		IN_WORLD(test_setattr),
		IN_WORLD(test_owner_rule),
		IN_WORLD(test_listing),
		IN_WORLD(test_listing_kept),
		IN_WORLD(test_listing_too_fresh),
		IN_WORLD(test_listing_changes),
		IN_WORLD(test_pages_kept),
		IN_WORLD(test_xattr),
		IN_PIECES(test_xattr),
		IN_WORLD(test_symlink),
		IN_WORLD(test_space),
		IN_WORLD(test_copy),
		IN_WORLD(test_tmpfile),
		IN_WORLD(test_big_io),
		IN_WORLD(test_sync),
		IN_WORLD(test_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
