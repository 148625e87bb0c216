/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports - published ports: listeners of the host that coved opened, each for
 * one port of the guest; UDP is in peer.h. A connection becomes a stream like any other, counted
 * and limited, whose guest side is dialled through vsock.sock. Who connects is
 * on the host and not judged by the rules; the guest only ever answers. What
 * the device server says before the stream begins is not trusted.
 */
#ifndef GATE_PORTS_H
#define GATE_PORTS_H

#include "gate/gate.h"

struct stream;
struct sockaddr_storage;

/* Takes the place of all listeners: the GT_PORT records of body, fds taken.
 * Streams of ports that are not there any more are cut. 0 or -EBADMSG. */
int ports_set(
	struct gate *g, const void *body, size_t len, int *fds, size_t n_fds);
/* Answers with all listeners. 0 or -errno. */
int ports_give(struct gate *g, int sock);
void ports_done(struct gate *g);

/* A stream that asks for a port of the guest; NULL: not now. */
struct stream *ports_dial(struct gate *g, uint16_t port, uint8_t proto);
/* The published UDP socket with that SO_COOKIE, or -1. */
int ports_fd(const struct gate *g, uint64_t cookie);
void ports_note(const struct sockaddr_storage *ss, struct address *ret);
/* What the stream's guest side says while the port is not open yet. */
void ports_knock(struct stream *s);

#endif
