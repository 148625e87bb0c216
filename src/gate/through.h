/* SPDX-License-Identifier: Apache-2.0 */
/*
 * through - the way of a stream through the host's proxy (upstream.h): dial it,
 * talk, then relay as if the target had been dialled. Loop thread only.
 */
#ifndef GATE_THROUGH_H
#define GATE_THROUGH_H

#include "gate/stream.h"

/* Whether the stream's target is behind the proxy. */
bool through_wants(const struct stream *s);
/* The stream was judged; in ST_LOOKUP. */
void through_dial(struct stream *s);
/* ST_PROXY: the proxy said something. */
void through_event(struct stream *s);

#endif
