/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink - writes to a descriptor that we share with others without blocking and
 * without changing it for them: O_NONBLOCK on a shared terminal or pipe would
 * hit the shell and every other program on it. A pipe or terminal is opened
 * anew through /proc; a socket takes a flag; a regular file never blocks.
 */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include "base/util.h"
#include <sys/types.h>

enum sink_kind { SINK_PLAIN, SINK_SOCKET, SINK_OWN, SINK_SHARED };

struct sink {
	int fd;  /* borrowed; the one to watch */
	int own; /* opened anew, -1 otherwise */
	enum sink_kind kind;
};

void sink_init(struct sink *s, int fd);
void sink_done(struct sink *s);
/* Bytes written, -EAGAIN, or another -errno. */
ssize_t sink_write(struct sink *s, const void *p, size_t len);

#endif
