/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths - where this user's Cove lives. COVE_HOME moves everything below one
 * directory ($COVE_HOME/{run,state,cache,config}); otherwise the XDG
 * directories plus "/cove". Without XDG_RUNTIME_DIR the run directory is
 * $XDG_STATE_HOME/cove/run.
 *
 *   run/    coved.sock, <id>/{vsock.sock,qmp.sock,console.log,...}
 *   state/  cove.db, sandboxes/<id>/{disk.img,docker.img}, coved.log
 *   cache/  kernels/, templates/, disks/
 *   config/
 */
#ifndef BASE_PATHS_H
#define BASE_PATHS_H

#include "base/err.h"

struct paths {
	char *run;
	char *state;
	char *cache;
	char *config;
};

int paths_init(struct paths *p, struct err *err);
void paths_done(struct paths *p);
/* mkdir -p with mode 0700 for what is created. */
int paths_make(const char *path, struct err *err);
/*
 * Absolute path of a sibling program ("cove-devices"): $COVE_LIBEXEC, else
 * the directory of /proc/self/exe, else its ../libexec/cove, else (in a build
 * tree) a sibling of that directory. Heap string.
 */
int paths_program(const char *name, char **ret, struct err *err);

#endif
