/* SPDX-License-Identifier: Apache-2.0 */
/*
 * op - a request that waits for a sandbox: create, start, stop, delete, exec.
 * Belongs to its connection; ends when it answered, when the client goes away,
 * or when the sandbox is gone. What it does to the sandbox it does from a task
 * of the loop, so that no note of one sandbox leads to another within.
 */
#ifndef DAEMON_OP_H
#define DAEMON_OP_H

#include "daemon/conn.h"
#include "daemon/sandbox.h"

enum op_kind { OP_CREATE, OP_START, OP_STOP, OP_DELETE, OP_EXEC };

/*
 * Begins and answers sooner or later. stream: progress as JSON lines (create).
 * timeout_ms is for OP_STOP. c is CONN_BUSY.
 */
void op_begin(struct conn *c, struct sandbox *sb, enum op_kind kind,
	bool stream, uint64_t timeout_ms);

#endif
