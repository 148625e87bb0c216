/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the socket by which coved pauses, resumes, saves and stops the
 * machine (wire/vmm.h). A few connections, one request of each at a time.
 * Loop's thread. coved is trusted; malformed requests are refused all the
 * same, and a connection that sends too much is closed.
 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include "vmm/machine.h"

#define CONTROL_CLIENTS 4u

struct control;

struct control_client {
	struct control *control;
	struct watch watch;
	int fd;
	bool waits; /* for the processors to park */
};

struct control {
	struct machine *machine;
	struct loop *loop;
	struct watch listener;
	struct control_client client[CONTROL_CLIENTS];
};

/* listen_fd stays the caller's; -1 is no control socket. */
int control_init(struct control *c, struct loop *l, int listen_fd,
	struct machine *m, struct err *err);
void control_done(struct control *c);
#endif
