/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logfile - where a daemon without a terminal logs: state/coved.log, moved to
 * coved.log.1 when it has grown to LOGFILE_MAX. Loop thread only.
 */
#ifndef DAEMON_LOGFILE_H
#define DAEMON_LOGFILE_H

#include "base/err.h"

#define LOGFILE_MAX (4u * 1024u * 1024u)

/* stdin becomes /dev/null, stdout and stderr the log. */
int logfile_open(const char *state_dir, struct err *err);
/* Begins a new one when the old one is full; does nothing without one. */
void logfile_check(const char *state_dir);

#endif
