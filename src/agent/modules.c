/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/modules.h"

#include "agent/strv.h"
#include "base/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* The program the kernel starts when it lacks a module: admin-guide/sysctl. */
#define MODPROBE "/proc/sys/kernel/modprobe"
#define MODPROBE_DEFAULT "/sbin/modprobe"
/* Locked by the child that loads the rest, with its pid in it. */
#define LOCK "/run/cove/modules"

static int late_fd = -1;
static pid_t helper; /* loads the rest */

static bool is_module(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && streq(name + len - 3, ".ko");
}

/* "07-x.ko" is x; the number may have any length. */
static bool is_named(const char *file, const char *name)
{
	const char *dash = strchr(file, '-');
	size_t len = strlen(name);

	return dash && strncmp(dash + 1, name, len) == 0 &&
		streq(dash + 1 + len, ".ko");
}

static int load_one(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, "", 0) < 0)
		return -errno;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_modules(int dirfd, struct strv *ret)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir)))
		if (is_module(e->d_name))
			(void)strv_add(ret, xstrdup(e->d_name));
	closedir(dir);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return 0;
}

static bool has_module(const struct strv *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (is_named(names->v[i], name))
			return true;
	return false;
}

int modules_load(int dirfd, const char *last, struct err *err)
{
	_cleanup_(strv_done) struct strv names = {0};
	int r = list_modules(dirfd, &names);

	if (r < 0)
		return err_sys(err, -r, "list modules");
	if (last && !has_module(&names, last))
		last = NULL;
	for (size_t i = 0; i < names.n; i++) {
		r = load_one(dirfd, names.v[i]);
		if (r < 0 && r != -ENODEV && r != -EEXIST)
			log_error("module %s: %s", names.v[i], strerror(-r));
		log_debug("%s at %llu ms", names.v[i],
			(unsigned long long)now_ms());
		/* The initramfs is memory. */
		(void)unlinkat(dirfd, names.v[i], 0);
		if (last && is_named(names.v[i], last))
			break;
	}
	return 0;
}

void modules_keep_late(int modules_dirfd)
{
	late_fd = openat(
		modules_dirfd, "late", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int modules_load_late(const char *last, struct err *err)
{
	return late_fd < 0 ? 0 : modules_load(late_fd, last, err);
}

static void set_modprobe(const char *program)
{
	_cleanup_close_ int fd = open(MODPROBE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, program, strlen(program)) < 0)
		log_debug("%s: %d", MODPROBE, errno);
}

int modules_load_rest(const char *last, void (*ready)(void *arg), void *arg)
{
	_cleanup_close_ int fd = TAKE_FD(late_fd);
	_cleanup_close_ int lock = -1;
	struct err err = {0};
	pid_t pid;

	/* A kernel with everything built in has nothing to wait for. */
	if (fd < 0) {
		ready(arg);
		return -1;
	}
	lock = open(LOCK, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		log_debug("%s: %d", LOCK, errno);
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid > 0) {
		helper = pid;
		if (write(lock, &pid, sizeof(pid)) < 0)
			log_debug("%s: %d", LOCK, errno);
		set_modprobe("/proc/1/exe");
		return (int)syscall(SYS_pidfd_open, pid, 0);
	}
	(void)setpriority(PRIO_PROCESS, 0, 19);
	if (modules_load(fd, last, &err) < 0)
		log_error("late modules: %s", err.text);
	ready(arg);
	if (modules_load(fd, NULL, &err) < 0)
		log_error("late modules: %s", err.text);
	_exit(0);
}

void modules_hurry(void)
{
	if (helper)
		(void)setpriority(PRIO_PROCESS, (id_t)helper, 0);
}

bool modules_reaped(pid_t pid)
{
	if (pid != helper)
		return false;
	helper = 0;
	set_modprobe(MODPROBE_DEFAULT);
	return true;
}

/*
 * The lock is the child's alone once it runs, and gone with it: whatever the
 * kernel asked for is then there, or not ours. None of our modules asks for
 * another while it is being loaded, so the child never waits for itself.
 */
void modules_wait(void)
{
	_cleanup_close_ int fd = open(LOCK, O_RDONLY | O_CLOEXEC);
	pid_t pid;

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
		return;
	if (read(fd, &pid, sizeof(pid)) == sizeof(pid))
		(void)setpriority(PRIO_PROCESS, (id_t)pid, 0);
	(void)flock(fd, LOCK_SH);
}
