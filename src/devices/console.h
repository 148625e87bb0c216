/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console - copies the guest's serial output to a log file of bounded size:
 * when it is full, its oldest half goes. The bytes are the guest's and are
 * never looked at. Loop's thread.
 */
#ifndef DEVICES_CONSOLE_H
#define DEVICES_CONSOLE_H

#include "base/loop.h"

struct console {
	struct watch watch;
	struct loop *loop;
	int in;
	int log;
	uint64_t max;
	uint64_t len;
	char chunk[8192];
};

/* Takes both descriptors over, also on failure. log is open for both ways. */
int console_init(
	struct console *c, struct loop *l, int in, int log, uint64_t max);
void console_done(struct console *c);

#endif
