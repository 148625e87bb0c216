/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account - users and groups of the guest, read from /etc/passwd and
 * /etc/group by own code: no NSS, no libc databases, so it works in any image.
 * The files belong to the workload: they are bounded and any line may be junk.
 */
#ifndef AGENT_ACCOUNT_H
#define AGENT_ACCOUNT_H

#include "base/err.h"
#include <sys/types.h>

#define ACCOUNT_GROUPS 256u
#define ACCOUNT_FILE_MAX (4u * 1024u * 1024u)

struct account {
	uid_t uid;
	gid_t gid;
	char *name; /* "" for a uid without a name */
	char *home; /* "/" when unknown */
	char *shell;
	gid_t groups[ACCOUNT_GROUPS]; /* supplementary, gid included */
	size_t n_groups;
};

/*
 * spec: a user name or uid, then optionally ':' and a group name or gid; with a
 * group there are no supplementary groups. A uid need not exist, a name must.
 * passwd and group are the files' texts. 0, or -ENOENT/-EINVAL with text.
 */
int account_find(const char *passwd, const char *group, const char *spec,
	struct account *ret, struct err *err);
/* The same on the files below etc_dir ("/etc"); missing files are empty. */
int account_load(const char *etc_dir, const char *spec, struct account *ret,
	struct err *err);
void account_done(struct account *a);

/* A decimal id up to 2^32 - 2, nothing else. */
bool account_id(const char *s, uint32_t *ret);

#endif
