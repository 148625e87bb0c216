/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - a helper program that runs once and ends: cove-image, mke2fs. At most
 * one job per key runs; whoever needs the same thing watches the same job. Its
 * standard output is JSON lines (docs/image.md): {"step","text","done","total"}
 * any number of times, then {"result":{...}} or {"error":"..."}. The lines come
 * from a program that reads untrusted archives: bounded and parsed strictly.
 *
 * The process is in the store while it runs, so that the next coved can end
 * what this one left. Loop thread only.
 */
#ifndef DAEMON_JOB_H
#define DAEMON_JOB_H

#include "daemon/daemon.h"
#include "daemon/fields.h"

#define JOB_OWNER "job" /* owner of its row in the store */

struct progress {
	char step[32];
	char text[160];
	uint64_t done;
	uint64_t total; /* 0 = unknown */
};

struct job_watcher {
	struct list link; /* self-linked while it watches nothing */
	struct job *job;  /* while it watches one */
	void (*progress)(struct job_watcher *w, const struct progress *p);
	/* Once; the watcher is off the job by then. r: 0 or -errno. */
	void (*done)(struct job_watcher *w, int r, const struct err *err);
};

static inline void job_watcher_init(struct job_watcher *w)
{
	list_init(&w->link);
}

/*
 * Joins the job of that key, or starts argv (argv[0] an absolute path) as it.
 * 0, or -errno when it could not be started.
 */
struct job_start {
	const char *key;
	const char *const *argv;
	const char *step; /* progress is told under this name at once */
	const char *text;
	const char *input; /* on its standard input; NULL: nothing */
	bool theirs;       /* ends when nobody watches it any more */
};
int job_join(struct daemon *d, const struct job_start *js,
	struct job_watcher *w, struct err *err);
/* The last one to leave a job that is theirs ends it. */
void job_leave(struct job_watcher *w);
/* Ends all jobs' process groups and forgets them (coved stops). */
void job_kill_all(struct daemon *d);
bool job_running(const struct daemon *d, const char *key_prefix);

#endif
