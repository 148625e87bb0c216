/* SPDX-License-Identifier: Apache-2.0 */
/* vsock - sockets between guest and host; non-blocking, close-on-exec. */
#ifndef AGENT_VSOCK_H
#define AGENT_VSOCK_H

#include "base/util.h"

/* Listens on port for any caller. */
int vsock_listen(uint32_t port, int *ret_fd);
/* Begins to connect to the host: writable when decided (see SO_ERROR). */
int vsock_dial(uint32_t port, int *ret_fd);

#endif
