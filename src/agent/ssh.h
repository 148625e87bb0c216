/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssh - the socket SSH_AGENT_SOCKET, behind which the host has the person's SSH
 * agent (daemon/ssh.h judges what is asked of it). For the sandbox's user and
 * root. The agent owns the listener and looks at none of the bytes.
 */
#ifndef AGENT_SSH_H
#define AGENT_SSH_H

#include "agent/account.h"
#include "agent/net.h"

struct ssh {
	struct watch listen; /* its fd is owned */
	struct net *net;     /* borrowed; carries the streams */
};

/* net is started. Harmless a second time. */
void ssh_init(struct ssh *s, struct loop *l, struct net *net,
	const struct account *who);

#endif
