/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start - finds coved's socket, and starts coved when nobody serves it. coved
 * gets the write end of a pipe (--ready-fd) and says "ready" on it when it
 * serves, or why it cannot; when it ends without a word, its log is quoted.
 */
#ifndef CLI_START_H
#define CLI_START_H

#include "base/err.h"
#include "base/paths.h"

/* A connection to $run/coved.sock, or -errno. */
int start_connect(const struct paths *paths);
/* 0 when a coved serves the socket, whoever started it; -ECHILD with text. */
int start_daemon(const struct paths *paths, struct err *err);
/* The log that a coved started by us writes to; heap. */
char *start_log_path(const struct paths *paths);

#endif
