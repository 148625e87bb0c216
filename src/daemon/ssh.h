/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssh - the person's SSH agent for a sandbox that was made with --ssh-agent:
 * listens on vsock.sock_1029 of the run directory and passes requests on to
 * the socket that was SSH_AUTH_SOCK. Only listing keys and signing are (see
 * wire/ssh.h); everything else gets the agent protocol's refusal. A signature
 * is told to the gate, whose log has it, before the agent hears of it: what
 * cannot be told is refused. Keys never leave the agent.
 *
 * One message at a time and connection, bounded; the guest is hostile, what
 * the agent answers is only passed on. Loop thread only.
 */
#ifndef DAEMON_SSH_H
#define DAEMON_SSH_H

#include "daemon/sandbox.h"

/* Whether path may be an agent's; for spec_check(). */
int ssh_check(const char *path, struct err *err);
/* Another socket, for a sandbox that was made with one: for what comes. */
int ssh_change(struct sandbox *sb, const char *path, struct err *err);
/* With the run directory there. Nothing when the sandbox has no agent. */
int ssh_open(struct sandbox *sb, struct err *err);
/* Ends what is under way. */
void ssh_close(struct sandbox *sb);

#endif
