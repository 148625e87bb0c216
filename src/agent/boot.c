/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/boot.h"

#include "agent/modules.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/agent.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Names in the initramfs, whose root stays below the real one for good. */
#define LOWER "/lower"
#define UPPER "/upper"
#define NEW_ROOT "/root"

#define NO_EXEC (MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* The initramfs: the way back to the layers' own mounts at shutdown. */
static int initramfs_fd = -1;

static int mount_on(const char *src, const char *dst, const char *type,
	unsigned long flags, const char *data, struct err *err)
{
	if (mkdir(dst, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "mkdir %s", dst);
	if (mount(src, dst, type, flags, data) < 0)
		return err_sys(err, errno, "mount %s on %s", type, dst);
	return 0;
}

static int mount_early(struct err *err)
{
	int r = mount_on("proc", "/proc", "proc", NO_EXEC, NULL, err);

	r = r ? r : mount_on("sysfs", "/sys", "sysfs", NO_EXEC, NULL, err);
	return r ? r
		 : mount_on("devtmpfs", "/dev", "devtmpfs",
			   MS_NOSUID | MS_NOEXEC, "mode=0755", err);
}

/* The kernel found no /dev/console in an initramfs that has none. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	for (int i = 0; i <= 2; i++)
		if (fd != i)
			(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
	else
		(void)fd_cloexec(fd, false);
}

static int load_modules(struct err *err)
{
	_cleanup_close_ int fd =
		open("/modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* A kernel with everything built in brings none. */
	if (fd < 0)
		return 0;
	modules_keep_late(fd);
	return modules_load(fd, NULL, err);
}

static bool has_serial(int block_fd, const char *name, const char *serial)
{
	_cleanup_free_ char *path = xasprintf("%s/serial", name);
	_cleanup_free_ char *text = NULL;
	ssize_t n = fd_slurp_at(block_fd, path, 256, &text);

	if (n < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return streq(text, serial);
}

static char *find_disk(const char *serial)
{
	DIR *dir = opendir("/sys/block");
	const struct dirent *e;
	char *path = NULL;

	if (!dir)
		return NULL;
	while (!path && (e = readdir(dir)))
		if (e->d_name[0] != '.' &&
			has_serial(dirfd(dir), e->d_name, serial))
			path = xasprintf("/dev/%s", e->d_name);
	closedir(dir);
	return path;
}

static int mount_disk(const char *serial, const char *dst, const char *type,
	unsigned long flags, const char *data, struct err *err)
{
	_cleanup_free_ char *dev = find_disk(serial);
	int r;

	if (!dev)
		return err_set(
			err, ENODEV, "no disk with the serial %s", serial);
	r = mount_on(dev, dst, type, flags, data, err);
	return r < 0 ? err_wrap(err, "disk %s", serial) : 0;
}

/*
 * What the first command will read, whichever it is: the host fetches it while
 * the guest goes on booting. Templates without these files lose nothing.
 */
static void fetch_early(void)
{
	static const char *const files[] = {
		LOWER "/usr/lib/x86_64-linux-gnu/libc.so.6",
		LOWER "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		LOWER "/usr/bin/sh",
		LOWER "/etc/ld.so.cache",
		LOWER "/etc/passwd",
		LOWER "/etc/group",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_close_ int fd = open(files[i], O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
	}
}

/*
 * redirect_dir lets directories of the template be renamed; without it mv and
 * package managers fall back to copying. discard gives the space of deleted
 * files back to the host.
 */
static int mount_root(struct err *err)
{
	int r;

	r = mount_disk(DISK_ROOT, LOWER, "erofs", MS_RDONLY, NULL, err);
	if (r == 0)
		fetch_early();
	r = r ? r
	      : mount_disk(
			DISK_UPPER, UPPER, "ext4", MS_NOATIME, "discard", err);
	if (r < 0)
		return r;
	if ((mkdir(UPPER "/upper", 0755) < 0 && errno != EEXIST) ||
		(mkdir(UPPER "/work", 0755) < 0 && errno != EEXIST))
		return err_sys(err, errno, "prepare the disk %s", DISK_UPPER);
	return mount_on("overlay", NEW_ROOT, "overlay", MS_NOATIME,
		"lowerdir=" LOWER ",upperdir=" UPPER "/upper,workdir=" UPPER
		"/work,redirect_dir=on,index=off,xino=auto",
		err);
}

/*
 * Removes what is in dirfd's file system below it; the modules for later stay,
 * and so do directories on which something is mounted.
 */
static void empty_dir(int fd, dev_t dev)
{
	DIR *dir = fdopendir(fd);
	const struct dirent *e;
	struct stat st;

	if (!dir) {
		close(fd);
		return;
	}
	while ((e = readdir(dir))) {
		int sub;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
			streq(e->d_name, "late") ||
			fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			st.st_dev != dev)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			(void)unlinkat(fd, e->d_name, 0);
			continue;
		}
		sub = openat(fd, e->d_name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub >= 0)
			empty_dir(sub, dev);
		(void)unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static void empty_initramfs(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0)
		close(fd);
	else
		empty_dir(fd, st.st_dev);
}

/* A real switch: from a chroot alone, pivot_root in a container fails. */
static int switch_root(struct err *err)
{
	static const char *const moved[] = {"dev", "proc", "sys"};

	initramfs_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(moved); i++) {
		_cleanup_free_ char *from = xasprintf("/%s", moved[i]);
		_cleanup_free_ char *to = xasprintf(NEW_ROOT "/%s", moved[i]);

		if (mkdir(to, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "mkdir %s", to);
		if (mount(from, to, NULL, MS_MOVE, NULL) < 0)
			return err_sys(err, errno, "move %s", from);
	}
	empty_initramfs();
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
		chroot(".") < 0 || chdir("/") < 0)
		return err_sys(err, errno, "switch root");
	return 0;
}

static int mount_late(struct err *err)
{
	int r = mount_on("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		"ptmxmode=0666,mode=0620,gid=5", err);

	r = r ? r
	      : mount_on("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV,
			"mode=1777", err);
	r = r ? r
	      : mount_on("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV,
			"mode=0755", err);
	return r ? r
		 : mount_on("cgroup2", "/sys/fs/cgroup", "cgroup2", NO_EXEC,
			   "nsdelegate,memory_recursiveprot", err);
}

/*
 * /tmp stays on the sandbox's disk: a build that fills a tmpfs would take the
 * memory of small sandboxes.
 */
static void make_links(void)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			log_debug("%s: %d", links[i][1], errno);
	if (mkdir("/tmp", 0700) == 0)
		(void)chmod("/tmp", 01777);
	if (mkdir("/run/lock", 0700) == 0)
		(void)chmod("/run/lock", 01777);
	(void)mkdir("/run/cove", 0700);
}

static int finish(struct err *err)
{
	int r = mount_late(err);

	if (r == 0)
		make_links();
	return r;
}

struct step {
	const char *name;
	int (*fn)(struct err *err);
};

static int run_steps(const struct step *steps, size_t n, struct err *err)
{
	int r = 0;

	umask(0);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = steps[i].fn(err);
		log_debug("%s at %llu ms", steps[i].name,
			(unsigned long long)now_ms());
	}
	umask(022);
	return r;
}

static int begin(struct err *err)
{
	int r = mount_early(err);

	open_console();
	return r;
}

int boot_kernel(struct err *err)
{
	static const struct step steps[] = {
		{"init", begin},
		{"modules", load_modules},
	};

	return run_steps(steps, ARRAY_SIZE(steps), err);
}

int boot_root(struct err *err)
{
	static const struct step steps[] = {
		{"root", mount_root},
		{"switch", switch_root},
		{"mounts", finish},
	};

	return run_steps(steps, ARRAY_SIZE(steps), err);
}

int boot_docker(struct err *err)
{
	_cleanup_free_ char *dev = find_disk(DISK_DOCKER);

	if (!dev)
		return 0;
	for (const char *const *d =
			(const char *const[]){"/var", "/var/lib", NULL};
		*d; d++)
		if (mkdir(*d, 0755) < 0 && errno != EEXIST)
			return err_sys(err, errno, "mkdir %s", *d);
	return mount_on(dev, DOCKER_DIR, "ext4", MS_NOATIME, "discard", err);
}

static void sync_at(int dirfd, const char *path)
{
	_cleanup_close_ int fd =
		openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		(void)syncfs(fd);
}

void boot_undo(void)
{
	/* The disks first: the share's server may hang, they must not. */
	sync_at(AT_FDCWD, "/");
	sync_at(AT_FDCWD, DOCKER_DIR);
	(void)umount2(SHARE_DIR, MNT_DETACH);
	(void)umount2(DOCKER_DIR, MNT_DETACH);
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	if (initramfs_fd >= 0 && fchdir(initramfs_fd) == 0)
		(void)mount(NULL, "." UPPER, NULL,
			MS_REMOUNT | MS_RDONLY | MS_NOATIME, NULL);
}
