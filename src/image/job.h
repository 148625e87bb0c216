/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - the subcommands of cove-image. Each is one job: it reads its options,
 * does its work under the lock of its cache directory, and tells its result
 * through struct progress. 0, or -errno with the text in err.
 */
#ifndef IMAGE_JOB_H
#define IMAGE_JOB_H

#include "image/progress.h"

struct job_opts {
	bool json;
	bool help;
	bool rebuild;
	const char *operand; /* NULL when the command takes none */
	/* kernel */
	const char *vmlinux;
	const char *modules;
	const char *deb;
	const char *version;
	const char *init;
	/* disk */
	uint64_t size;
	const char *label;
	const char *kind;
	/* import, pull */
	const char *name;
	const char *image;
	const char *output;
	const char *origin;
	const char *like;
	bool root;
	bool skip_devices;
	bool credential; /* pull: on standard input */
	/* verify */
	bool quick;
};

int job_kernel(const struct job_opts *o, struct progress *p, struct err *err);
int job_shell(const struct job_opts *o, struct progress *p, struct err *err);
int job_disk(const struct job_opts *o, struct progress *p, struct err *err);
int job_import(const struct job_opts *o, struct progress *p, struct err *err);
int job_pull(const struct job_opts *o, struct progress *p, struct err *err);
int job_save(const struct job_opts *o, struct progress *p, struct err *err);
int job_load(const struct job_opts *o, struct progress *p, struct err *err);
int job_verify(const struct job_opts *o, struct progress *p, struct err *err);

/* "2025-01-31T12:00:00Z" of now; heap string. */
char *job_time(void);
/* progress line for cache_lock(). */
void job_on_wait(void *progress);

#endif
