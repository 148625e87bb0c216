/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workspace - what the words on a command line point at: TEMPLATE or PATH, a
 * workspace "PATH[:ro]", a mapping "HOST:GUEST[:ro]", one side of cp. Host
 * paths become absolute and free of links, so that the sandbox sees them under
 * the name that the kernel has for them. Input is the person's.
 */
#ifndef CLI_WORKSPACE_H
#define CLI_WORKSPACE_H

#include "base/err.h"

struct workspace {
	char *host;  /* absolute, resolved */
	char *guest; /* absolute */
	bool ro;
};

void workspace_done(struct workspace *p);

/* A path has a '/' or a '.'; everything else is a plain word (a template). */
bool workspace_is_path(const char *arg);
/* PATH[:ro]: shared under its own name. 0 or -errno with text. */
int workspace_parse(const char *arg, struct workspace *ret, struct err *err);
/* HOST:GUEST[:ro]: split at the last ":/". 0 or -errno with text. */
int workspace_mount(const char *arg, struct workspace *ret, struct err *err);

/* The directory that is shared when none is named. */
enum workspace_cwd {
	CWD_SHARE,  /* *ret is the current directory */
	CWD_SYSTEM, /* part of every system: never shared by default */
	CWD_OWN,    /* holds Cove's own files, or lies in them */
};
/* own: directories that may never be shared (absolute, NULL-terminated). */
int workspace_cwd(const char *const *own, struct workspace *ret,
	enum workspace_cwd *ret_kind, struct err *err);
bool workspace_is_system(const char *path);
/* True when path is dir or lies below it; both absolute. */
bool path_below(const char *path, const char *dir);

/* One side of cp: "NAME:/abs/path" or a host path (sandbox == NULL). */
struct cp_side {
	char *sandbox;
	char *path;
};
void cp_side_done(struct cp_side *s);
int cp_side_parse(const char *arg, struct cp_side *ret, struct err *err);

#endif
