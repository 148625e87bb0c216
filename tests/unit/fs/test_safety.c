/* SPDX-License-Identifier: Apache-2.0 */
/* What the server must do when the guest, or the host's tree, is hostile. */
#include "client.h"

#include "wire/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static int open_world_with(void **state, uint32_t max_fds, unsigned workers)
{
	struct world *w = xnew(struct world);
	struct fs_config config = fs_config_default;

	config.max_fds = max_fds;
	config.n_workers = workers;
	world_open(w, &config);
	*state = w;
	return 0;
}

static int open_world(void **state)
{
	return open_world_with(state, 0, 1);
}

/* 16 directory descriptors, 8 pinned files, 32 open files. */
static int open_poor(void **state)
{
	return open_world_with(state, 64, 1);
}

static int open_crowd(void **state)
{
	return open_world_with(state, 256, 4);
}

static int close_world(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

/* -- names and requests -- */

static void test_bad_names(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", "a/b", "/", "../secret", "/etc/passwd"};
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0");
	struct fuse_entry_out e;
	struct stat st;
	char longer[300];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(lookup(&w->c, dir, bad[i], &e), -EINVAL);
		assert_int_equal(call_name(&w->c, FUSE_MKDIR, dir,
					 &(struct fuse_mkdir_in){.mode = 0755},
					 sizeof(struct fuse_mkdir_in), bad[i]),
			-EINVAL);
		assert_int_equal(
			rename_to(&w->c, dir, "x", dir, bad[i], 0), -EINVAL);
	}
	memset(longer, 'n', sizeof(longer));
	longer[256] = 0;
	assert_int_equal(lookup(&w->c, dir, longer, &e), -ENAMETOOLONG);
	/* A name without its NUL, or none at all. */
	assert_int_equal(
		call(&w->c, FUSE_LOOKUP, dir, "abc", 3, NULL, 0), -EINVAL);
	assert_int_equal(
		call(&w->c, FUSE_LOOKUP, dir, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(
		call(&w->c, FUSE_SYMLINK, dir, "a\0target", 8, NULL, 0),
		-EINVAL);
	assert_int_equal(lstat(at(w, "rw/a"), &st), -1);
}

static void test_broken_requests(void **state)
{
	struct world *w = *state;
	struct fuse_in_header head = {.len = sizeof(head),
		.opcode = FUSE_GETATTR,
		.nodeid = FUSE_ROOT_ID};
	uint8_t out[256];
	struct iovec vi = {&head, sizeof(head)}, vo = {out, sizeof(out)};
	struct fs_stats before, after;

	fs_stats(w->fs, &before);
	/* Shorter than its fixed part. */
	assert_int_equal(fs_request(w->fs, 0, &vi, 1, &vo, 1),
		sizeof(struct fuse_out_header));
	/* Lengths that lie. */
	head.len = 4096;
	assert_int_equal(fs_request(w->fs, 0, &vi, 1, &vo, 1), 0);
	head.len = 8;
	assert_int_equal(fs_request(w->fs, 0, &vi, 1, &vo, 1), 0);
	vi.iov_len = 20;
	assert_int_equal(fs_request(w->fs, 0, &vi, 1, &vo, 1), 0);
	assert_int_equal(fs_request(w->fs, 0, NULL, 0, &vo, 1), 0);
	/* No room for an answer. */
	vi.iov_len = sizeof(head);
	head.len = sizeof(head);
	vo.iov_len = 8;
	assert_int_equal(fs_request(w->fs, 0, &vi, 1, &vo, 1), 0);
	assert_int_equal(fs_request(w->fs, 0, &vi, 1, NULL, 0), 0);
	fs_stats(w->fs, &after);
	assert_true(after.refused >= before.refused + 5);
	/* Room for the header of the answer only. */
	{
		struct fuse_getattr_in in = {0};
		struct iovec two[2] = {
			{&head, sizeof(head)}, {&in, sizeof(in)}};
		const struct fuse_out_header *h = (const void *)out;

		head.len = sizeof(head) + sizeof(in);
		vo.iov_len = 20;
		assert_int_equal(fs_request(w->fs, 0, two, 2, &vo, 1), 16);
		assert_int_equal(h->error, -ERANGE);
	}
	assert_int_equal(call(&w->c, 200, 1, NULL, 0, NULL, 0), -ENOSYS);
	assert_int_equal(call(&w->c, 0, 1, NULL, 0, NULL, 0), -ENOSYS);
	assert_int_equal(call(&w->c, 0xffffffff, 1, NULL, 0, NULL, 0), -ENOSYS);
}

static void test_wrong_handles(void **state)
{
	struct world *w = *state;
	uint64_t node, fh, other, other_fh, dir = walk(&w->c, "0");
	struct fuse_attr a;

	assert_int_equal(create(&w->c, dir, "a", O_RDWR, 0600, &node, &fh), 0);
	assert_int_equal(
		create(&w->c, dir, "b", O_RDWR, 0600, &other, &other_fh), 0);
	assert_int_equal(read_at(&w->c, node, 0, 0, 1), -EBADF);
	assert_int_equal(read_at(&w->c, node, fh + 1, 0, 1), -EBADF);
	assert_int_equal(read_at(&w->c, node, fh ^ 1ull << 40, 0, 1), -EBADF);
	assert_int_equal(write_at(&w->c, node, other_fh, 0, "x", 0), -EINVAL);
	assert_int_equal(read_at(&w->c, node, fh, UINT64_MAX, 1), -EINVAL);
	/* Nodes nobody was told of. */
	assert_int_equal(getattr(&w->c, 0, &a), -ESTALE);
	assert_int_equal(getattr(&w->c, 0xdeadbeef, &a), -ESTALE);
	assert_int_equal(getattr(&w->c, node + (1ull << 32), &a), -ESTALE);
	forget(&w->c, node, UINT64_MAX);
	assert_int_equal(getattr(&w->c, node, &a), -ESTALE);
	assert_int_equal(read_at(&w->c, node, fh, 0, 1), 0);
	forget(&w->c, FUSE_ROOT_ID, UINT64_MAX);
	assert_int_equal(getattr(&w->c, FUSE_ROOT_ID, &a), 0);
	forget(&w->c, dir, UINT64_MAX);
	assert_int_equal(getattr(&w->c, dir, &a), 0);
}

static void test_batch_forget_lies(void **state)
{
	struct world *w = *state;
	struct fuse_batch_forget_in in = {.count = UINT32_MAX};
	struct fuse_forget_one one = {.nlookup = 1};
	struct fuse_attr a;

	file_put(at(w, "rw/f"), "x");
	one.nodeid = walk(&w->c, "0/f");
	assert_int_equal(call(&w->c, FUSE_BATCH_FORGET, 0, &in, sizeof(in),
				 &one, sizeof(one)),
		-ENOMSG);
	assert_int_equal(getattr(&w->c, one.nodeid, &a), -ESTALE);
}

/* -- staying inside -- */

static void test_symlinks_lead_nowhere(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), link;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t node, fh;

	assert_int_equal(symlink("../secret", at(w, "rw/out")), 0);
	assert_int_equal(symlink("/etc/passwd", at(w, "rw/pw")), 0);
	assert_int_equal(lookup(&w->c, dir, "out", &e), 0);
	link = e.nodeid;
	assert_int_equal(e.attr.mode & S_IFMT, S_IFLNK);
	assert_int_equal(lookup(&w->c, link, "key", &e), -ENOTDIR);
	assert_int_equal(call(&w->c, FUSE_READDIR, link,
				 &(struct fuse_read_in){.size = 4096},
				 sizeof(struct fuse_read_in), NULL, 0),
		-ENOTDIR);
	assert_int_equal(
		open_node(&w->c, FUSE_OPEN, walk(&w->c, "0/pw"), O_RDONLY, &o),
		-ENXIO);
	assert_int_equal(
		create(&w->c, dir, "pw", O_RDWR, 0600, &node, &fh), -ELOOP);
	assert_int_equal(
		setattr(&w->c, link,
			&(struct fuse_setattr_in){.valid = FATTR_SIZE}),
		-ENXIO);
	assert_int_equal(setattr(&w->c, link,
				 &(struct fuse_setattr_in){
					 .valid = FATTR_MODE, .mode = 0777}),
		-EOPNOTSUPP);
}

/* A directory that turns into a symlink and back, all the time. */
struct swapper {
	const struct world *w;
	atomic_bool stop;
	atomic_uint rounds;
};

static void *swap_dir(void *arg)
{
	struct swapper *s = arg;
	char dir[512], link[512];

	snprintf(dir, sizeof(dir), "%s/rw/d", s->w->dir);
	snprintf(link, sizeof(link), "%s/rw/l", s->w->dir);
	while (!atomic_load(&s->stop)) {
		(void)syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, link, 2);
		s->rounds++;
	}
	return NULL;
}

static bool try_name(struct client *c, uint64_t dir, const char *name)
{
	struct fuse_entry_out d, f;
	struct fuse_open_out o;
	bool leaked = false;

	if (lookup(c, dir, name, &d) < 0)
		return false;
	if (lookup(c, d.nodeid, "key", &f) == 0) {
		leaked = f.attr.size == 6;
		if (open_node(c, FUSE_OPEN, f.nodeid, O_RDONLY, &o) == 0) {
			int n = read_at(c, f.nodeid, o.fh, 0, 100);

			leaked |= n == 6 && !memcmp(payload(c), "SECRET", 6);
			release(c, FUSE_RELEASE, f.nodeid, o.fh);
		}
		forget(c, f.nodeid, 1);
	}
	forget(c, d.nodeid, 1);
	return leaked;
}

static void test_racing_symlink_swap(void **state)
{
	struct world *w = *state;
	struct swapper s = {.w = w};
	uint64_t dir = walk(&w->c, "0"), end;
	pthread_t thread;
	unsigned tries = 0;
	struct stat st;

	assert_int_equal(mkdir(at(w, "rw/d"), 0755), 0);
	file_put(at(w, "rw/d/key"), "mine");
	assert_int_equal(symlink(at(w, "secret"), at(w, "rw/l")), 0);
	assert_int_equal(pthread_create(&thread, NULL, swap_dir, &s), 0);
	for (end = now_ms() + 2000;
		now_ms() < end || tries <= 100 || s.rounds <= 100; tries++) {
		uint64_t node, fh;

		assert_false(try_name(&w->c, dir, "d"));
		assert_false(try_name(&w->c, dir, "l"));
		if (create(&w->c, walk(&w->c, "0/d"), "new", O_RDWR, 0600,
			    &node, &fh) == 0)
			release(&w->c, FUSE_RELEASE, node, fh);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	/* Nothing was made outside either. */
	assert_int_equal(stat(at(w, "secret/new"), &st), -1);
}

static void test_never_opened(void **state)
{
	struct world *w = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	uint64_t dir = walk(&w->c, "0"), fifo, node, fh;
	struct fuse_mknod_in mk = {.mode = S_IFIFO | 0600};
	struct fuse_open_out o;
	int s;

	assert_int_equal(
		call_name(&w->c, FUSE_MKNOD, dir, &mk, sizeof(mk), "fifo"), 0);
	fifo = walk(&w->c, "0/fifo");
	/* Opening it would wait for the other end for ever. */
	assert_int_equal(
		open_node(&w->c, FUSE_OPEN, fifo, O_WRONLY, &o), -ENXIO);
	assert_int_equal(
		create(&w->c, dir, "fifo", O_WRONLY, 0600, &node, &fh), -ENXIO);
	assert_int_equal(
		setattr(&w->c, fifo,
			&(struct fuse_setattr_in){.valid = FATTR_SIZE}),
		-ENXIO);
	mk.mode = S_IFCHR | 0600;
	mk.rdev = 0x103;
	assert_int_equal(
		call_name(&w->c, FUSE_MKNOD, dir, &mk, sizeof(mk), "chr"),
		-EPERM);
	mk.mode = S_IFBLK | 0600;
	assert_int_equal(
		call_name(&w->c, FUSE_MKNOD, dir, &mk, sizeof(mk), "blk"),
		-EPERM);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", at(w, "rw/sock"));
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(
		open_node(&w->c, FUSE_OPEN, walk(&w->c, "0/sock"), O_RDWR, &o),
		-ENXIO);
	close(s);
	if (geteuid() != 0)
		return;
	assert_int_equal(
		mknod(at(w, "rw/null"), S_IFCHR | 0666, makedev(1, 3)), 0);
	node = walk(&w->c, "0/null");
	assert_true(node != 0); /* visible */
	assert_int_equal(open_node(&w->c, FUSE_OPEN, node, O_RDWR, &o), -ENXIO);
}

static void test_no_kernel_files(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	int fd = open("/proc", O_PATH | O_CLOEXEC);

	assert_int_equal(fs_export(w->fs, "proc", fd, 0, &err), -EACCES);
	assert_non_null(strstr(err.text, "/proc"));
	/* Also when it is met inside an export. */
	fd = open("/", O_PATH | O_CLOEXEC);
	assert_int_equal(fs_export(w->fs, "root", fd, AMF_RO, &err), 0);
	assert_int_equal(call_name(&w->c, FUSE_LOOKUP, walk(&w->c, "root"),
				 NULL, 0, "proc"),
		-EACCES);
}

/* -- read-only -- */

static void try_to_change(struct client *c, uint64_t dir, uint64_t file)
{
	struct fuse_setattr_in sa = {.valid = FATTR_MODE, .mode = 0777};
	struct fuse_mknod_in mk = {.mode = S_IFREG | 0600};
	struct fuse_open_out o;
	uint64_t node, fh;

	assert_int_equal(open_node(c, FUSE_OPEN, file, O_RDWR, &o), -EROFS);
	assert_int_equal(open_node(c, FUSE_OPEN, file, O_WRONLY, &o), -EROFS);
	assert_int_equal(
		open_node(c, FUSE_OPEN, file, O_RDONLY | O_TRUNC, &o), -EROFS);
	assert_int_equal(setattr(c, file, &sa), -EROFS);
	assert_int_equal(setattr(c, dir, &sa), -EROFS);
	sa.valid = FATTR_SIZE;
	assert_int_equal(setattr(c, file, &sa), -EROFS);
	assert_int_equal(create(c, dir, "n", O_RDWR, 0600, &node, &fh), -EROFS);
	assert_int_equal(create(c, dir, "f", O_RDWR, 0600, &node, &fh), -EROFS);
	assert_int_equal(
		call_name(c, FUSE_MKNOD, dir, &mk, sizeof(mk), "n"), -EROFS);
	assert_int_equal(
		call_name(c, FUSE_MKDIR, dir, &(struct fuse_mkdir_in){0},
			sizeof(struct fuse_mkdir_in), "n"),
		-EROFS);
	assert_int_equal(
		call(c, FUSE_SYMLINK, dir, "n\0t", 4, NULL, 0), -EROFS);
	assert_int_equal(call_name(c, FUSE_UNLINK, dir, NULL, 0, "f"), -EROFS);
	assert_int_equal(call_name(c, FUSE_RMDIR, dir, NULL, 0, "f"), -EROFS);
	assert_int_equal(rename_to(c, dir, "f", dir, "g", 0), -EROFS);
	assert_int_equal(rename_to(c, dir, "f", dir, "g", 2), -EROFS);
	assert_int_equal(link_to(c, file, dir, "l"), -EROFS);
	assert_int_equal(
		call_name(c, FUSE_REMOVEXATTR, file, NULL, 0, "user.x"),
		-EROFS);
	assert_int_equal(call(c, FUSE_SETXATTR, file,
				 &(struct fuse_setxattr_in){.size = 1},
				 FUSE_COMPAT_SETXATTR_IN_SIZE, "user.x\0v", 8),
		-EROFS);
	assert_int_equal(call_name(c, FUSE_TMPFILE, dir,
				 &(struct fuse_create_in){.flags = O_RDWR},
				 sizeof(struct fuse_create_in), "/"),
		-EROFS);
}

static void test_read_only_export(void **state)
{
	struct world *w = *state;
	struct fuse_open_out o;
	uint64_t dir = walk(&w->c, "1"), file = walk(&w->c, "1/f");
	struct stat st;

	try_to_change(&w->c, dir, file);
	assert_int_equal(open_node(&w->c, FUSE_OPEN, file, O_RDONLY, &o), 0);
	assert_int_equal(write_at(&w->c, file, o.fh, 0, "x", 0), -EROFS);
	assert_int_equal(read_at(&w->c, file, o.fh, 0, 100), 9);
	/* Nor by way of a directory that may be written. */
	assert_int_equal(
		rename_to(&w->c, walk(&w->c, "0"), "x", dir, "f", 0), -EXDEV);
	assert_int_equal(link_to(&w->c, file, walk(&w->c, "0"), "l"), -EXDEV);
	assert_int_equal(stat(at(w, "ro/f"), &st), 0);
	assert_int_equal(st.st_size, 9);
	assert_int_equal(st.st_nlink, 1);
}

static void test_copy_to_read_only(void **state)
{
	struct world *w = *state;
	struct fuse_copy_file_range_in in = {.len = 10};
	struct fuse_open_out o;
	uint64_t from;

	assert_int_equal(create(&w->c, walk(&w->c, "0"), "a", O_RDWR, 0600,
				 &from, &in.fh_in),
		0);
	assert_int_equal(write_at(&w->c, from, in.fh_in, 0, "evil", 0), 0);
	in.nodeid_out = walk(&w->c, "1/f");
	assert_int_equal(open_node(&w->c, FUSE_OPEN, in.nodeid_out, 0, &o), 0);
	in.fh_out = o.fh;
	assert_int_equal(call(&w->c, FUSE_COPY_FILE_RANGE, from, &in,
				 sizeof(in), NULL, 0),
		-EBADF);
}

static void test_single_file(void **state)
{
	struct world *w = *state;
	uint64_t file = walk(&w->c, "2");
	struct fuse_entry_out e;
	struct fuse_open_out o;
	uint64_t node, fh;

	assert_int_equal(open_node(&w->c, FUSE_OPEN, file, O_RDONLY, &o), 0);
	assert_int_equal(read_at(&w->c, file, o.fh, 0, 100), 6);
	assert_int_equal(open_node(&w->c, FUSE_OPEN, file, O_RDWR, &o), -EROFS);
	/* Its neighbours do not exist. */
	assert_int_equal(lookup(&w->c, file, "rw", &e), -ENOTDIR);
	assert_int_equal(lookup(&w->c, file, "..", &e), -EINVAL);
	assert_int_equal(call(&w->c, FUSE_READDIR, file,
				 &(struct fuse_read_in){.size = 4096},
				 sizeof(struct fuse_read_in), NULL, 0),
		-ENOTDIR);
	assert_int_equal(
		create(&w->c, file, "x", O_RDWR, 0600, &node, &fh), -EROFS);
}

/* -- the host changes things -- */

static void test_replaced_on_host(void **state)
{
	struct world *w = *state;
	uint64_t node, fresh;
	struct fuse_open_out o, again;
	struct fuse_attr a;

	file_put(at(w, "rw/f"), "old");
	node = walk(&w->c, "0/f");
	file_put(at(w, "rw/tmp"), "newer");
	assert_int_equal(rename(at(w, "rw/tmp"), at(w, "rw/f")), 0);
	/* -ESTALE makes the guest's kernel look the name up again. */
	assert_int_equal(
		open_node(&w->c, FUSE_OPEN, node, O_RDONLY, &o), -ESTALE);
	assert_int_equal(getattr(&w->c, node, &a), -ESTALE);
	fresh = walk(&w->c, "0/f");
	assert_true(fresh != node && fresh != 0);
	assert_int_equal(open_node(&w->c, FUSE_OPEN, fresh, O_RDONLY, &o), 0);
	/* An open file stays itself. */
	file_put(at(w, "rw/tmp"), "newest!");
	assert_int_equal(rename(at(w, "rw/tmp"), at(w, "rw/f")), 0);
	assert_int_equal(getattr(&w->c, fresh, &a), 0);
	assert_int_equal(a.size, 5);
	assert_int_equal(a.nlink, 0);
	assert_int_equal(read_at(&w->c, fresh, o.fh, 0, 100), 5);
	assert_int_equal(
		open_node(&w->c, FUSE_OPEN, fresh, O_RDONLY, &again), -ESTALE);
}

static void test_file_becomes_directory(void **state)
{
	struct world *w = *state;
	uint64_t node;
	struct fuse_attr a;
	struct fuse_open_out o;

	file_put(at(w, "rw/x"), "file");
	node = walk(&w->c, "0/x");
	assert_int_equal(unlink(at(w, "rw/x")), 0);
	assert_int_equal(mkdir(at(w, "rw/x"), 0755), 0);
	assert_int_equal(getattr(&w->c, node, &a), -ESTALE);
	assert_int_equal(open_node(&w->c, FUSE_OPEN, node, 0, &o), -ESTALE);
	assert_int_equal(getattr(&w->c, walk(&w->c, "0/x"), &a), 0);
	assert_int_equal(a.mode & S_IFMT, S_IFDIR);
}

/* -- few descriptors -- */

static void test_many_directories(void **state)
{
	struct world *w = *state;
	static uint64_t node[300];
	struct fs_stats st;

	for (int i = 0; i < 300; i++) {
		char name[64];

		snprintf(name, sizeof(name), "rw/d%d", i);
		assert_int_equal(mkdir(at(w, name), 0755), 0);
		snprintf(name, sizeof(name), "rw/d%d/f", i);
		file_put(at(w, name), name);
		snprintf(name, sizeof(name), "0/d%d/f", i);
		node[i] = walk(&w->c, name);
		assert_true(node[i] != 0);
	}
	fs_stats(w->fs, &st);
	assert_true(st.nodes > 600);
	assert_true(st.fds <= 17);
	/* All of them are still reachable. */
	for (int i = 0; i < 300; i++) {
		struct fuse_open_out o;
		struct fuse_attr a;

		assert_int_equal(getattr(&w->c, node[i], &a), 0);
		assert_int_equal(
			open_node(&w->c, FUSE_OPEN, node[i], O_RDWR, &o), 0);
		assert_true(read_at(&w->c, node[i], o.fh, 0, 100) > 5);
		assert_int_equal(
			release(&w->c, FUSE_RELEASE, node[i], o.fh), 0);
	}
}

static void test_deep_tree(void **state)
{
	struct world *w = *state;
	uint64_t node = walk(&w->c, "0"), deep[200];
	struct fuse_attr a;

	for (int i = 0; i < 200; i++) {
		struct fuse_entry_out e;

		assert_int_equal(call_name(&w->c, FUSE_MKDIR, node,
					 &(struct fuse_mkdir_in){.mode = 0755},
					 sizeof(struct fuse_mkdir_in), "deep"),
			0);
		memcpy(&e, payload(&w->c), sizeof(e));
		deep[i] = node = e.nodeid;
	}
	/* From the bottom, when only 16 descriptors remember the way. */
	for (int i = 199; i >= 0; i -= 13) {
		assert_int_equal(getattr(&w->c, deep[i], &a), 0);
		assert_int_equal(a.mode & S_IFMT, S_IFDIR);
		assert_int_equal(getattr(&w->c, deep[199 - i], &a), 0);
	}
}

static void test_too_many_open(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node[64], fh[64];
	int e = 0, n;

	for (n = 0; n < 64 && e == 0; n++) {
		char name[32];

		snprintf(name, sizeof(name), "f%d", n);
		e = create(&w->c, dir, name, O_RDWR, 0600, &node[n], &fh[n]);
	}
	assert_int_equal(e, -ENFILE);
	assert_int_equal(n - 1, 32);
	assert_int_equal(release(&w->c, FUSE_RELEASE, node[0], fh[0]), 0);
	assert_int_equal(
		create(&w->c, dir, "again", O_RDWR, 0600, &node[0], &fh[0]), 0);
}

static void test_many_unlinked(void **state)
{
	struct world *w = *state;
	uint64_t dir = walk(&w->c, "0"), node[20], fh;
	struct fuse_attr a;
	struct fs_stats st;
	int alive = 0;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(
			create(&w->c, dir, "f", O_RDWR, 0600, &node[i], &fh),
			0);
		assert_int_equal(release(&w->c, FUSE_RELEASE, node[i], fh), 0);
		assert_int_equal(
			call_name(&w->c, FUSE_UNLINK, dir, NULL, 0, "f"), 0);
	}
	for (int i = 0; i < 20; i++)
		alive += getattr(&w->c, node[i], &a) == 0;
	assert_int_equal(alive, 8); /* what the budget allows */
	fs_stats(w->fs, &st);
	assert_true(st.fds <= 8 + 17);
	for (int i = 0; i < 20; i++)
		forget(&w->c, node[i], 1);
	fs_stats(w->fs, &st);
	assert_true(st.fds <= 17);
}

/* -- many workers -- */

struct crowd {
	struct world *w;
	unsigned n;
};

static void *one_of_many(void *arg)
{
	struct crowd *me = arg;
	struct client c;
	char name[32], other[32];

	client_init(&c, me->w->fs, me->n);
	for (int i = 0; i < 400; i++) {
		struct fuse_entry_out e;
		struct fuse_attr a;
		uint64_t dir, node, fh;

		assert_int_equal(lookup(&c, FUSE_ROOT_ID, "0", &e), 0);
		dir = e.nodeid;
		snprintf(name, sizeof(name), "shared%d", i % 5);
		snprintf(other, sizeof(other), "moved%d", i % 3);
		if (create(&c, dir, name, O_RDWR, 0600, &node, &fh) == 0) {
			assert_int_equal(
				write_at(&c, node, fh, 0, "contents", 0), 0);
			assert_true(read_at(&c, node, fh, 0, 100) >= 8);
			(void)rename_to(
				&c, dir, name, dir, other, i % 4 == 0 ? 2 : 0);
			assert_int_equal(getattr(&c, node, &a), 0);
			(void)call_name(&c, FUSE_UNLINK, dir, NULL, 0, other);
			assert_int_equal(
				release(&c, FUSE_RELEASE, node, fh), 0);
			forget(&c, node, 1);
		}
		if (call_name(&c, FUSE_MKDIR, dir,
			    &(struct fuse_mkdir_in){.mode = 0755},
			    sizeof(struct fuse_mkdir_in), "dir") == 0) {
			memcpy(&e, payload(&c), sizeof(e));
			forget(&c, e.nodeid, 1);
		}
		if (lookup(&c, dir, "dir", &e) == 0) {
			struct fuse_entry_out in;

			if (lookup(&c, e.nodeid, "nothing", &in) == 0)
				forget(&c, in.nodeid, 1);
			forget(&c, e.nodeid, 1);
		}
		(void)call_name(&c, FUSE_RMDIR, dir, NULL, 0, "dir");
	}
	client_done(&c);
	return NULL;
}

static void test_workers(void **state)
{
	struct world *w = *state;
	struct crowd crowd[4];
	pthread_t thread[4];
	struct fs_stats st;

	for (unsigned i = 0; i < 4; i++) {
		crowd[i] = (struct crowd){w, i};
		assert_int_equal(pthread_create(&thread[i], NULL, one_of_many,
					 &crowd[i]),
			0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	fs_stats(w->fs, &st);
	/* Every look-up was forgotten, every file closed. */
	assert_int_equal(st.nodes, 4);
	assert_int_equal(st.files, 0);
	assert_int_equal(st.fds, 0);
}

#define IN_WORLD(t) cmocka_unit_test_setup_teardown(t, open_world, close_world)
#define POOR(t) cmocka_unit_test_setup_teardown(t, open_poor, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(test_bad_names),
		IN_WORLD(test_broken_requests),
		IN_WORLD(test_wrong_handles),
		IN_WORLD(test_batch_forget_lies),
		IN_WORLD(test_symlinks_lead_nowhere),
		IN_WORLD(test_racing_symlink_swap),
		IN_WORLD(test_never_opened),
		IN_WORLD(test_no_kernel_files),
		IN_WORLD(test_read_only_export),
		IN_WORLD(test_copy_to_read_only),
		IN_WORLD(test_single_file),
		IN_WORLD(test_replaced_on_host),
		IN_WORLD(test_file_becomes_directory),
		POOR(test_many_directories),
		POOR(test_deep_tree),
		POOR(test_too_many_open),
		POOR(test_many_unlinked),
		cmocka_unit_test_setup_teardown(
			test_workers, open_crowd, close_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
