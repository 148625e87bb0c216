/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view: an empty read-only root that holds the given files, and nothing
 * else that has a name.
 *
 * Descriptors that were opened before lead into the host's mounts, where ".."
 * goes up to the host's root. So each entry is cloned as a mount of its own
 * and its descriptor is opened again below the new root. A mount can only be
 * cloned by name inside our own namespace: the name is asked of the kernel
 * and the result compared with the descriptor, so a directory that is moved
 * or replaced meanwhile is refused and never another one taken.
 *
 * /proc/self/fd is kept as well: descriptors are opened again through it.
 */
#include "jail/jail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PROC_FD "/proc/self/fd"
/* Where the new root is put together: a directory that is always there. */
#define STAGE "/proc"

struct stage {
	int tree[JAIL_ENTRIES_MAX]; /* cloned mounts, not attached yet */
	bool is_dir[JAIL_ENTRIES_MAX];
	size_t n;
	int proc_tree;
	int proc; /* the host's /proc, to write the id maps */
};

static void stage_done(struct stage *s)
{
	for (size_t i = 0; i < s->n; i++)
		closep(&s->tree[i]);
	closep(&s->proc_tree);
	closep(&s->proc);
}

static bool has_sys_admin(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	return syscall(SYS_capget, &head, data) == 0 &&
		(data[0].effective & 1u << CAP_SYS_ADMIN);
}

static int write_map(int proc, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(proc, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* An own user namespace in which we are who we were. */
static int map_ids(int proc, uid_t uid, gid_t gid)
{
	char map[64];
	int r;

	(void)snprintf(map, sizeof(map), "%u %u 1\n", uid, uid);
	r = write_map(proc, "self/uid_map", map);
	if (r < 0)
		return r;
	r = write_map(proc, "self/setgroups", "deny");
	if (r < 0)
		return r;
	(void)snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
	return write_map(proc, "self/gid_map", map);
}

static int enter_namespaces(int proc, bool network, struct err *err)
{
	const int own =
		CLONE_NEWNS | CLONE_NEWIPC | (network ? 0 : CLONE_NEWNET);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (has_sys_admin()) {
		if (unshare(own) < 0)
			return err_sys(err, errno, "unshare");
	} else {
		if (unshare(CLONE_NEWUSER | own) < 0)
			return err_sys(err, errno, "unshare user namespace");
		r = map_ids(proc, uid, gid);
		if (r < 0)
			return err_sys(err, -r, "map ids");
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, errno, "make mounts private");
	return 0;
}

static bool same_file(int a, int b, bool *ret_is_dir)
{
	struct stat sa, sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0)
		return false;
	*ret_is_dir = S_ISDIR(sa.st_mode);
	return sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int restrict_mount(int tree, bool read_only)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};

	if (read_only)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	return mount_setattr(
		tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

static int clone_entry(
	struct stage *s, const struct jail_entry *e, struct err *err)
{
	char link[64], path[PATH_MAX];
	_cleanup_close_ int tree = -1;
	ssize_t n;

	(void)snprintf(link, sizeof(link), PROC_FD "/%d", *e->fd);
	n = readlink(link, path, sizeof(path));
	if (n <= 0 || n >= (ssize_t)sizeof(path))
		return err_sys(err, n < 0 ? errno : ENAMETOOLONG, "%s", link);
	path[n] = '\0';
	tree = open_tree(AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
			AT_SYMLINK_NOFOLLOW);
	if (tree < 0)
		return err_sys(err, errno, "clone %s", path);
	if (!same_file(*e->fd, tree, &s->is_dir[s->n]))
		return err_set(err, ESTALE, "%s was replaced", path);
	if (restrict_mount(tree, e->read_only) < 0)
		return err_sys(err, errno, "restrict %s", path);
	s->tree[s->n++] = TAKE_FD(tree);
	return 0;
}

static int clone_all(
	struct stage *s, const struct jail_files *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		int r = clone_entry(s, &f->entry[i], err);

		if (r < 0)
			return r;
	}
	s->proc_tree = open_tree(
		AT_FDCWD, PROC_FD, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return s->proc_tree < 0 ? err_sys(err, errno, "clone " PROC_FD) : 0;
}

/* A tmpfs of a few inodes on STAGE, with us inside. */
static int open_stage(size_t n, struct err *err)
{
	char opts[64];

	(void)snprintf(
		opts, sizeof(opts), "mode=0755,nr_inodes=%zu,size=64k", n + 16);
	if (mount("jail", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    opts) < 0)
		return err_sys(err, errno, "mount the new root");
	return chdir(STAGE) < 0 ? err_sys(err, errno, "chdir") : 0;
}

static int attach(int tree, const char *name, bool is_dir, struct err *err)
{
	_cleanup_close_ int file = -1;

	if (is_dir && mkdir(name, 0755) < 0)
		return err_sys(err, errno, "mkdir /%s", name);
	if (!is_dir) {
		file = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
		if (file < 0)
			return err_sys(err, errno, "create /%s", name);
	}
	if (move_mount(tree, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, errno, "attach /%s", name);
	return 0;
}

static int attach_all(
	struct stage *s, const struct jail_files *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		int r = attach(s->tree[i], f->entry[i].name, s->is_dir[i], err);

		if (r < 0)
			return r;
	}
	if (mkdir("proc", 0755) < 0 || mkdir("proc/self", 0755) < 0)
		return err_sys(err, errno, "mkdir /proc");
	return attach(s->proc_tree, "proc/self/fd", true, err);
}

/* The old root is stacked on the new one and then let go. */
static int change_root(struct err *err)
{
	struct mount_attr ro = {.attr_set = MOUNT_ATTR_RDONLY};

	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(err, errno, "let go of the old root");
	if (chdir("/") < 0)
		return err_sys(err, errno, "chdir");
	if (mount_setattr(AT_FDCWD, "/", 0, &ro, sizeof(ro)) < 0)
		return err_sys(err, errno, "make the root read-only");
	return 0;
}

static int reopen_all(const struct jail_files *f, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		_cleanup_close_ int fd =
			open(f->entry[i].name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0 || dup3(fd, *f->entry[i].fd, O_CLOEXEC) < 0)
			return err_sys(
				err, errno, "open /%s again", f->entry[i].name);
	}
	return 0;
}

int jail_view(const struct jail_files *f, struct err *err)
{
	_cleanup_(stage_done) struct stage s = {.proc_tree = -1, .proc = -1};
	int r;

	assert(f->n <= JAIL_ENTRIES_MAX);
	s.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s.proc < 0)
		return err_sys(err, errno, "open /proc");
	r = enter_namespaces(s.proc, f->network, err);
	r = r ? r : clone_all(&s, f, err);
	r = r ? r : open_stage(f->n, err);
	if (r < 0)
		return -EOPNOTSUPP;
	r = attach_all(&s, f, err);
	r = r ? r : change_root(err);
	return r ? r : reopen_all(f, err);
}
