/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp - a stream that carries datagrams (wire/egress.h) to one address. As on
 * any network some are lost: those that rate, a full stream or the socket do
 * not take. Ends when the guest closes it or after UDP_IDLE_MS without one.
 */
#ifndef GATE_UDP_H
#define GATE_UDP_H

#include "gate/stream.h"

#define UDP_IDLE_MS 120000u

/* The first of the addresses that can be connected to; all were judged. */
void udp_begin(struct stream *s, const struct address *addrs, size_t n);
/* The guest has answered for a published port: what waits goes to it. */
void udp_serve(struct stream *s);
/* len bytes at p + DATAGRAM_HEAD for the guest; may end the stream. */
void udp_from_peer(struct stream *s, uint8_t *p, size_t len);
/* A descriptor of a stream in ST_UDP is ready. */
void udp_event(struct stream *s, struct side *side, uint32_t events);

#endif
