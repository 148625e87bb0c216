/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etc - the few files below /etc that make an image this sandbox: names, the
 * machine id, the agent's account. Works in any image, also one with nothing
 * but busybox. Files are written only when their content changes, so that a
 * boot costs no disk write and a user's own edits stay.
 */
#ifndef AGENT_ETC_H
#define AGENT_ETC_H

#include "base/err.h"

#define AGENT_UID 1000u
#define AGENT_GID 1000u

/* root: the directory that holds etc and home, "/" in the guest. */
int etc_identity(
	const char *root, const char *name, const char *uuid, struct err *err);
/*
 * Makes sure that a user of that name exists: uid and gid 1000, home
 * /home/NAME, password-less sudo where the image has sudo.
 */
int etc_ensure_user(const char *root, const char *name, struct err *err);

#endif
