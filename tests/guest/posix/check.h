/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - the frame of the POSIX suite: one small static program for a group
 * of calls. It works in a new directory below argv[1] and prints one line for
 * each check, "ok NAME" or "not ok NAME # what was seen", the same on every
 * run, so that two file systems can be compared line by line.
 */
#ifndef TESTS_GUEST_CHECK_H
#define TESTS_GUEST_CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int failures;
static char work_dir[4096];

static inline void result(bool good, const char *name, const char *seen)
{
	if (good)
		printf("ok %s\n", name);
	else
		printf("not ok %s # %s\n", name, seen);
	failures += !good;
}

/* The condition holds. */
#define OK(cond, name)                                                  \
	do {                                                            \
		errno = 0;                                              \
		bool good_ = (cond);                                    \
		result(good_, name, errno ? strerror(errno) : "false"); \
	} while (0)

/* The call fails with that error. */
#define FAILS(call, error, name)                                    \
	do {                                                        \
		errno = 0;                                          \
		long got_ = (long)(call);                           \
		result(got_ == -1 && errno == (error), name,        \
			got_ == -1 ? strerror(errno) : "no error"); \
	} while (0)

/* Two numbers are equal. */
#define SAME(seen, want, name)                                               \
	do {                                                                 \
		char text_[64];                                              \
		errno = 0;                                                   \
		long long seen_ = (long long)(seen);                         \
		long long want_ = (long long)(want);                         \
		snprintf(text_, sizeof(text_), "%lld, not %lld (%s)", seen_, \
			want_, strerror(errno));                             \
		result(seen_ == want_, name, text_);                         \
	} while (0)

static inline void must(bool good, const char *what)
{
	if (!good) {
		printf("not ok cannot go on: %s # %s\n", what, strerror(errno));
		exit(1);
	}
}

/* A file with that text; returns false on trouble. */
static inline bool put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	size_t len = strlen(text);
	bool good = fd >= 0 && write(fd, text, len) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return good;
}

/* The file holds exactly that text. */
static inline bool holds(const char *name, const char *text)
{
	char buf[4096];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static inline bool exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static inline long long size_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? -1 : (long long)st.st_size;
}

static inline int mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? -1 : (int)(st.st_mode & 07777);
}

static inline int links_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? -1 : (int)st.st_nlink;
}

static inline unsigned long long ino_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) < 0 ? 0 : (unsigned long long)st.st_ino;
}

static inline int start(int argc, char **argv, const char *group)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		exit(2);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	snprintf(work_dir, sizeof(work_dir), "%s/posix.%s", argv[1], group);
	must(mkdir(work_dir, 0755) == 0, work_dir);
	must(chdir(work_dir) == 0, "chdir");
	return 0;
}

static inline int finish(void)
{
	char cmd[9000];

	snprintf(cmd, sizeof(cmd), "chmod -R u+rwx '%s'; rm -rf '%s'", work_dir,
		work_dir);
	must(chdir("/") == 0, "chdir /");
	OK(system(cmd) == 0, "everything can be removed");
	return failures != 0;
}

#endif
