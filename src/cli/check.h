/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check - what `cove doctor` looks at. Each check is a function that adds one
 * line (or a few): how bad, what was found, how to get what is missing. Checks
 * only look; they start nothing and need no coved.
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/cli.h"

enum check_level { CHECK_OK, CHECK_WARN, CHECK_MISSING };

struct check {
	const char *name; /* static */
	enum check_level level;
	char *text;
	char *fix; /* NULL when there is nothing to do */
};

struct checks {
	struct cli *cli;
	struct check *v;
	size_t n;
};

void checks_run(struct checks *c);
void checks_done(struct checks *c);
enum check_level checks_worst(const struct checks *c);
const char *check_word(enum check_level level);

/* fix may be NULL; fmt is the text. */
void check_add(struct checks *c, const char *name, enum check_level level,
	const char *fix, const char *fmt, ...) _printf_(5, 6);
/* Absolute path of a program on PATH or in sbin; heap or NULL. */
char *check_program(const char *name);
/* First line of what a program prints, at most 200 bytes; heap or NULL. */
char *check_output(const char *const *argv);
/* A number in a file of /proc or /sys, or -1. */
long long check_number(const char *path);

/* check_kvm.c, check_host.c, check_tools.c, check_cove.c */
void check_kvm(struct checks *c);
void check_qemu(struct checks *c);
void check_disk_tools(struct checks *c);
void check_image_tools(struct checks *c);
void check_subids(struct checks *c);
void check_user_namespaces(struct checks *c);
void check_landlock(struct checks *c);
void check_seccomp(struct checks *c);
void check_cgroups(struct checks *c);
void check_watches(struct checks *c);
void check_files(struct checks *c);
void check_memory(struct checks *c);
void check_space(struct checks *c);
void check_cache(struct checks *c);
void check_daemon(struct checks *c);

#endif
