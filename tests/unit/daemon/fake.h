/* SPDX-License-Identifier: Apache-2.0 */
/* fake - the engine of the daemon's tests; see fake_engine.c. */
#ifndef TEST_DAEMON_FAKE_H
#define TEST_DAEMON_FAKE_H

#include "daemon/backend.h"

extern const struct backend backend_fake;

/* The process in the place of the monitor; returns its exit status. */
int fake_guest(const char *run_dir, const char *name, int listen_fd);

#endif
