/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports - published ports: listeners of the host that coved opened, each for
 * one port of the guest. A connection becomes a stream like any other, counted
 * and limited, whose guest side is dialled through vsock.sock. Who connects is
 * on the host and not judged by the rules; the guest only ever answers. What
 * the device server says before the stream begins is not trusted.
 */
#ifndef GATE_PORTS_H
#define GATE_PORTS_H

#include "gate/gate.h"

struct stream;

/* Takes the place of all listeners: the GT_PORT records of body, fds taken.
 * Streams of ports that are not there any more are cut. 0 or -EBADMSG. */
int ports_set(
	struct gate *g, const void *body, size_t len, int *fds, size_t n_fds);
/* Answers with all listeners. 0 or -errno. */
int ports_give(struct gate *g, int sock);
void ports_done(struct gate *g);

/* What the stream's guest side says while the port is not open yet. */
void ports_knock(struct stream *s);

#endif
