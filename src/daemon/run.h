/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - coved from lock to loop. One daemon per state directory: the lock is
 * on state/coved.lock and ends with the process.
 */
#ifndef DAEMON_RUN_H
#define DAEMON_RUN_H

#include "daemon/daemon.h"

/*
 * Directories, lock, store, adoption, socket. With -EBUSY another coved has
 * the state. d is zero-initialised but for paths and backend.
 */
int daemon_open(struct daemon *d, struct err *err);
/* Serves until SIGTERM, SIGINT or the API says stop; 0 or -errno. */
int daemon_serve(struct daemon *d, struct err *err);
/* Sandboxes go on running. */
void daemon_close(struct daemon *d);

/* Without directories, lock and socket: the tests hand in connections. */
int daemon_init(struct daemon *d, struct err *err);

#endif
