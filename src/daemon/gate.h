/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate - the cove-gate process of a running sandbox: started before the
 * engine, started again when it dies, ended with it. Without a gate the guest
 * has no network. It outlives coved; the next one adopts it by pid and start
 * time and speaks to it through sandboxes/<id>/gate.sock, where no engine
 * can reach. Loop thread only.
 */
#ifndef DAEMON_GATE_H
#define DAEMON_GATE_H

#include "daemon/sandbox.h"

/* After the run directory was made. A sandbox without a gate is not started. */
int gate_start(struct sandbox *sb, struct err *err);
/* Takes over what an earlier coved started, or starts another one. */
void gate_adopt(struct sandbox *sb, const struct proc_id *id);
/* Ends it. */
void gate_stop(struct sandbox *sb);
/* Lets go of it; it goes on. */
void gate_free(struct sandbox *sb);
/* 0 while none runs. */
pid_t gate_pid(const struct sandbox *sb);
/* Bytes both ways since it was created, as its gate last wrote them. */
uint64_t gate_used(const struct sandbox *sb);
/* The rules changed, and with them what its signer may sign for. */
void gate_push(struct sandbox *sb);
/* The secrets changed. */
void gate_push_keys(struct sandbox *sb);
/* The person's answer to what waits for this target (ask.h). */
void gate_answer(struct sandbox *sb, const char *target, uint16_t port,
	bool udp, bool allow);
/*
 * Into its log, path "ssh-agent": 0 when the gate was told, -errno when there
 * is none or it does not listen. target and reason are plain words.
 */
int gate_note(
	struct sandbox *sb, const char *target, bool allow, const char *reason);
/* The published ports changed. */
void gate_push_ports(struct sandbox *sb);

#endif
