/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child - a helper program (apt-get, dpkg-deb, mmdebstrap, mke2fs) without a
 * shell, its output in pipes. It gets SIGTERM when this process dies, so that
 * it can remove its own temporary files.
 */
#ifndef IMAGE_CHILD_H
#define IMAGE_CHILD_H

#include "base/err.h"
#include <sys/types.h>

struct child {
	pid_t pid;
	int out; /* read end of its stdout */
	int err; /* read end of its stderr */
};

/* Absolute path of a program in PATH, or NULL. */
char *child_find(const char *name);
/*
 * argv[0] is looked up with child_find(); package is what to install when it
 * is missing. dir may be NULL. stdin is /dev/null.
 */
int child_start(const char *const *argv, const char *dir, const char *package,
	struct child *ret, struct err *err);
typedef void child_err_fn(void *arg, const char *p, size_t len);
/*
 * Up to len bytes of its stdout, 0 at the end, -errno; what it writes to
 * stderr meanwhile goes to fn (NULL: nowhere), so that it never blocks.
 */
ssize_t child_read(
	struct child *c, void *p, size_t len, child_err_fn *fn, void *arg);
/* Closes the pipes and reaps. 0 when it exited with 0. */
int child_wait(struct child *c, const char *name, struct err *err);
/* SIGTERM, then as child_wait(); for cleanup. */
void child_kill(struct child *c);

/*
 * Runs argv to the end. At most max bytes of stdout in *ret_out, NUL-
 * terminated (NULL: thrown away); a failure shows the end of its stderr.
 */
int child_run(const char *const *argv, const char *dir, const char *package,
	size_t max, char **ret_out, struct err *err);

#endif
