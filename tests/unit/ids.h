/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids - for tests that give files to somebody. Root can; an ordinary user
 * becomes that somebody, in a user namespace of its own, where the files it has
 * already are that somebody's as well. For the rest of the program.
 */
#ifndef TESTS_UNIT_IDS_H
#define TESTS_UNIT_IDS_H

#include "base/fd.h"
#include "base/util.h"
#include <fcntl.h>
#include <sched.h>
#include <string.h>

static inline bool ids_write(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && fd_write_all(fd, text, strlen(text)) == 0;
}

/* False where nobody may make a user namespace: a reason to skip. */
static inline bool ids_can_give(uid_t uid, gid_t gid)
{
	_cleanup_free_ char *u = xasprintf("%u %u 1", uid, geteuid());
	_cleanup_free_ char *g = xasprintf("%u %u 1", gid, getegid());

	if (geteuid() == 0 || (geteuid() == uid && getegid() == gid))
		return true;
	return unshare(CLONE_NEWUSER) == 0 &&
		ids_write("/proc/self/setgroups", "deny") &&
		ids_write("/proc/self/uid_map", u) &&
		ids_write("/proc/self/gid_map", g);
}

#endif
