/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place - where a received tree goes, by the rules of `cp -R` and docker cp.
 * Pure decisions about one destination path; the caller's own path is trusted
 * and may contain links, the sender's name is one checked component.
 */
#ifndef COPY_PLACE_H
#define COPY_PLACE_H

#include "base/err.h"
#include <sys/types.h>

struct place {
	int dirfd;      /* the directory that gets the tree; owned */
	char name[256]; /* below it; empty: merge into dirfd itself */
};

/*
 * dst a directory: below it as name, or merged into it when name is ".".
 * dst missing: made as dst, its parent must exist; with a trailing slash only
 * a directory can be made. dst a file: replaced, but never by a directory; a
 * link to a file is followed.
 */
int tree_place(const char *dst, const char *name, bool is_dir,
	struct place *ret, struct err *err);
void place_done(struct place *p);

/* One path component: no '/', no NUL, not empty, "." or "..". */
bool tree_name_ok(const char *name);

#endif
