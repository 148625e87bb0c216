/* SPDX-License-Identifier: Apache-2.0 */
/* tty - pseudo-terminals: a pair of descriptors, its size, its end of file. */
#ifndef AGENT_TTY_H
#define AGENT_TTY_H

#include "base/util.h"

/* Both close-on-exec and not our controlling terminal. 0 or -errno. */
int tty_open(uint32_t rows, uint32_t cols, int *ret_master, int *ret_slave);
void tty_set_size(int master, uint32_t rows, uint32_t cols);
/* What ^D does, if the terminal is in that mode. */
void tty_send_eof(int master);

#endif
