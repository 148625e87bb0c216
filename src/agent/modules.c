/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/modules.h"

#include "base/log.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

static int late_fd = -1;

static bool is_module(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && streq(name + len - 3, ".ko");
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
	const char *x = *(char *const *)a;
	const char *y = *(char *const *)b;

	assert(x && y);
	return strcmp(x, y);
}

/* Fills names with heap strings, sorted; how many, or -errno. */
static ssize_t list_modules(int dirfd, char *names[MODULES_MAX])
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	size_t n = 0;

	if (!dir)
		return -errno;
	while (n < MODULES_MAX && (e = readdir(dir)))
		if (is_module(e->d_name))
			names[n++] = xstrdup(e->d_name);
	closedir(dir);
	qsort(names, n, sizeof(*names), by_name);
	return (ssize_t)n;
}

int modules_load(int dirfd, struct err *err)
{
	char *names[MODULES_MAX] = {NULL};
	ssize_t n = list_modules(dirfd, names);

	if (n < 0)
		return err_sys(err, (int)-n, "list modules");
	for (ssize_t i = 0; i < n; i++) {
		int r = load_one(dirfd, names[i]);

		if (r < 0 && r != -ENODEV && r != -EEXIST)
			log_error("module %s: %s", names[i], strerror(-r));
		log_debug("%s at %llu ms", names[i],
			(unsigned long long)now_ms());
		/* The initramfs is memory. */
		(void)unlinkat(dirfd, names[i], 0);
		free(names[i]);
	}
	return (int)n;
}

void modules_keep_late(int modules_dirfd)
{
	late_fd = openat(
		modules_dirfd, "late", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int modules_load_late(struct err *err)
{
	_cleanup_close_ int fd = TAKE_FD(late_fd);
	int r;

	if (fd < 0)
		return 0;
	r = modules_load(fd, err);
	return r < 0 ? r : 0;
}
