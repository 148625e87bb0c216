/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console - the guest's serial output, kept by the device server in a capped
 * file console.log. Hostile bytes: what goes into a reason or an event is cut
 * and cleaned here; the raw file is only ever streamed to the person.
 */
#ifndef DAEMON_CONSOLE_H
#define DAEMON_CONSOLE_H

#include "base/util.h"

/*
 * The last lines (at most max_lines, at most size - 1 bytes) as printable
 * ASCII joined by " | "; "" when there is nothing.
 */
void console_tail(
	const char *run_dir, unsigned max_lines, char *dst, size_t size);
/* The last line that holds needle, cleaned; "" when there is none. */
void console_find(
	const char *run_dir, const char *needle, char *dst, size_t size);
/* console_tail() of text that was read already. */
void console_clean_tail(const char *text, size_t len, unsigned max_lines,
	char *dst, size_t size);

#endif
