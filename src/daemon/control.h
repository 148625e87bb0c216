/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the guest agent's control stream (wire/agent.h): HELLO, CONFIG,
 * READY, then PING and events. Everything read here is hostile: frames are
 * bounded, texts are cut and cleaned, a stream that breaks the protocol is
 * closed and nothing else happens to it. At most one stream per sandbox; it is
 * owned by the sandbox. Loop thread only.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "daemon/sandbox.h"

#define PING_MS 2000u /* after the last answer a running guest is asked again */
#define PONG_MS 2500u /* silence after which it is unresponsive */

/* A guest connected to vsock.sock_1024; takes fd over. */
void control_accept(struct sandbox *sb, int fd);
/* Takes the stream up again after a restart of coved. */
void control_resume(struct sandbox *sb);
void control_close(struct sandbox *sb);
/* Asks for an orderly power-off; false when no guest is there to ask. */
bool control_shutdown(struct sandbox *sb, uint64_t timeout_ms);
bool control_said_hello(const struct sandbox *sb);

/* Parser of one frame from the guest, for the fuzzer and the tests. */
struct frame;
int control_frame(struct sandbox *sb, const struct frame *f);

#endif
