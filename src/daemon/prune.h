/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prune - finds what nobody uses: directories without a sandbox, templates,
 * kernels and empty disks that no sandbox refers to. Loop thread only.
 */
#ifndef DAEMON_PRUNE_H
#define DAEMON_PRUNE_H

#include "daemon/daemon.h"
#include "daemon/fields.h"

/* {"items":[{"kind","name","bytes"}],"bytes"}, or NULL with err. */
json_t *prune(struct daemon *d, bool dry_run, struct err *err);
/* One template, if neither a name nor a sandbox needs it; bytes freed. */
uint64_t prune_template(struct daemon *d, const char *digest);
/* Only the directories without a sandbox (at start). */
void prune_leftovers(struct daemon *d);

#endif
