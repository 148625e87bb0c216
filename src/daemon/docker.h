/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docker - for each sandbox a Unix socket on the host, run/docker/<name>.sock,
 * that is its Docker daemon's: for an ordinary docker CLI, for compose, for an
 * IDE. A connection becomes a stream to the guest's own socket; the bytes are
 * not looked at. While the sandbox does not run, the answer is one HTTP error
 * that says so: tools that ask every few seconds must not start sandboxes.
 *
 * Only this user may connect. Loop thread only; clients and guest are hostile.
 */
#ifndef DAEMON_DOCKER_H
#define DAEMON_DOCKER_H

#include "daemon/sandbox.h"

/* Begins to listen; without success the sandbox goes without, which is logged. */
void docker_open(struct sandbox *sb);
/* Ends connections that have no stream yet, and the socket. */
void docker_close(struct sandbox *sb);
/* Where the socket is; heap. */
char *docker_path(const struct sandbox *sb);
/* Before any sandbox is loaded: what an earlier coved left. */
void docker_clean(struct daemon *d);

#endif
