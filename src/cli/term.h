/* SPDX-License-Identifier: Apache-2.0 */
/*
 * term - the caller's terminal in raw mode, and back. The saved mode is kept in
 * one static struct because a signal handler and atexit() must reach it: the
 * terminal is restored on return, exit() and on a crash.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include "base/util.h"

/* Saves the mode of fd and enters raw mode. 0 or -errno. */
int term_raw(int fd);
/* Raw again after a suspension, with the mode saved by term_raw(). */
void term_raw_again(void);
/* Back to the saved mode; harmless when not raw. Async-signal-safe. */
void term_restore(void);
/*
 * Undoes what a full-screen program may have left behind when it was cut off:
 * the alternate screen, mouse reports, a hidden cursor.
 */
void term_tidy(int fd);
/* 0, or -errno when fd is no terminal. */
int term_size(int fd, uint32_t *ret_rows, uint32_t *ret_cols);
/* The TERM that a guest's terminfo knows; borrowed. */
const char *term_name(const char *host_term);

#endif
