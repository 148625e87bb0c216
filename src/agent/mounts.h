/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts - the workspace: one virtio-fs with all exports at SHARE_DIR, each
 * bound to its place. What is read-only is refused by the host; the flag in
 * the guest only gives programs the right error at once.
 */
#ifndef AGENT_MOUNTS_H
#define AGENT_MOUNTS_H

#include "agent/config.h"

/* The share once more, as a mount that is read-only in itself (revoke.c). */
#define MOUNTS_PROBE_DIR "/run/cove/probe"

/*
 * Nothing without mounts. uid and gid own directories that have to be created
 * below /home on the way to a target. 0, or -errno with text.
 */
int mounts_apply(
	const struct config *c, uint32_t uid, uint32_t gid, struct err *err);
/* Takes the binds away; the share itself is boot_undo()'s. */
void mounts_undo(const struct config *c);
/*
 * Makes path (a directory, or an empty file) with its parents below rootfd.
 * Links on the way are the image's own and are followed.
 */
int mounts_make_target(
	int rootfd, const char *path, bool file, uint32_t uid, uint32_t gid);

#endif
