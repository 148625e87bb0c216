/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start - finds coved's socket, and starts coved when nobody serves it:
 * "coved --background" returns when it serves, or says why it cannot.
 */
#ifndef CLI_START_H
#define CLI_START_H

#include "base/err.h"
#include "base/paths.h"

/* A connection to $run/coved.sock, or -errno. */
int start_connect(const struct paths *paths);
/* 0 when a coved serves the socket, whoever started it; -ECHILD with text. */
int start_daemon(const struct paths *paths, struct err *err);
/* The log of a coved in the background; heap. */
char *start_log_path(const struct paths *paths);

#endif
