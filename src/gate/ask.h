/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - a connection that no rule speaks of waits for a person, when its
 * sandbox was made so. coved is told which target and answers, for those that
 * wait now, or by new rules. Nobody there, no answer in time, too many
 * questions: denied.
 */
#ifndef GATE_ASK_H
#define GATE_ASK_H

#include "gate/stream.h"

#define ASK_STREAMS_MAX 256u

/* False: it cannot wait, deny it. */
bool ask_begin(struct stream *s);
/* ANSWER of coved: 0 or -EBADMSG. */
int ask_answer(struct gate *g, const void *body, size_t len);

#endif
