/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - what a sandbox, a template, a path and an environment variable may
 * be called. Pure functions; input comes from API clients and is hostile.
 */
#ifndef DAEMON_NAMES_H
#define DAEMON_NAMES_H

#include "base/err.h"

#define NAME_MAX_LEN 63u
#define ID_LEN 36u /* UUID */

/* 2-63 of [a-z0-9][a-z0-9.-]*[a-z0-9]. 0 or -EINVAL with text. */
int name_check(const char *name, struct err *err);
/* True for the form that id_make() gives. */
bool id_is_valid(const char *id);
/* A random UUID (version 4). */
void id_make(char ret[ID_LEN + 1]);
/*
 * "<template>-<last part of dir>" made to fit the rules; dir may be NULL.
 * n > 1 appends "-n". Always a valid name.
 */
void name_default(const char *template, const char *dir, unsigned n,
	char ret[NAME_MAX_LEN + 1]);
/* Template names are sandbox names, with an optional ":tag". */
int template_name_check(const char *name, struct err *err);
/* Absolute, no empty, "." or ".." component, no control bytes, < 4096. */
int path_check(const char *path, const char *what, struct err *err);
/* True when path is dir or lies below it; both are checked paths. */
bool path_below(const char *path, const char *dir);
int env_name_check(const char *name, struct err *err);

#endif
