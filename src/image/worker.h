/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker - runs the part of a job that parses archives in a process of its
 * own, which has nothing but the descriptors it is given: no files, no
 * capabilities, bounded memory, a handful of system calls. What it says in
 * the end is a fixed struct, copied and not trusted further than its fields'
 * use needs. Main thread; blocks until the worker has ended.
 */
#ifndef IMAGE_WORKER_H
#define IMAGE_WORKER_H

#include "base/err.h"

#define WORKER_FDS_MAX 1000u
#define WORKER_RESULT_MAX (64 * KIB)

/*
 * In the worker: 0, or -errno with a text. ret is zeroed memory of the size
 * that was given to worker_run(); it is handed over in both cases.
 */
typedef int worker_fn(void *arg, void *ret, struct err *err);

struct worker {
	worker_fn *fn;
	void *arg; /* the worker works on a copy: it is a fork */
	int keep[WORKER_FDS_MAX];
	size_t n_keep; /* descriptors >= 3 that stay open in it */
};

static inline void worker_keep(struct worker *w, int fd)
{
	if (fd >= 0 && w->n_keep < WORKER_FDS_MAX)
		w->keep[w->n_keep++] = fd;
}

/* The result of fn, or -errno when the worker died. ret is always written. */
int worker_run(
	const struct worker *w, void *ret, size_t ret_len, struct err *err);

#endif
