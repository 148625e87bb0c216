/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signaler - carries signals to a session on streams of their own, beside the
 * one whose stdio is under way. Never blocks the loop for longer than a connect
 * on a Unix socket; what cannot be delivered is dropped (the person presses
 * Ctrl-C again, and then leaves).
 */
#ifndef CLI_SIGNALER_H
#define CLI_SIGNALER_H

#include "base/loop.h"
#include "cli/cli.h"

#define SIGNALER_MAX 8 /* on their way at once */

struct signaler {
	struct cli *cli;
	const char *sandbox; /* borrowed */
	struct list sendings;
	size_t n;
};

void signaler_init(struct signaler *g, struct cli *cli, const char *sandbox);
/* After the loop has ended. */
void signaler_done(struct signaler *g);
/* session_signal_fn; arg is the signaler. */
void signaler_send(void *arg, struct loop *l, uint32_t id, int signo);

#endif
