/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/op.h"

#include "daemon/api.h"
#include "daemon/bridge.h"
#include "daemon/dial.h"
#include "daemon/names.h"

#include "wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DIAL_MS 10000u
#define UNRESPONSIVE_MS 30000u /* how long an exec hopes for the guest */

struct op {
	struct observer obs;
	struct task step;
	struct timer late;
	struct conn *c;     /* NULL once answered or gone */
	struct sandbox *sb; /* NULL once it is removed */
	enum op_kind kind;
	bool stream;
	bool acted; /* the one thing to be done was begun */
	uint64_t timeout_ms;
	struct dial dial;
	bool dialing;
};

static void on_step(struct loop *l, struct task *t);

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct op, step));
}

/* Freed by the step task, which may be queued: then it runs as free_later. */
static void op_end(struct op *op, struct loop *l)
{
	if (op->sb)
		sandbox_leave(&op->obs);
	op->sb = NULL;
	op->c = NULL;
	loop_untimer(l, &op->late);
	dial_cancel(&op->dial);
	loop_defer(l, &op->step, free_later);
}

static void on_client_gone(void *arg)
{
	struct op *op = arg;
	struct sandbox *sb = op->sb;

	if (sb && op->kind == OP_CREATE)
		sandbox_orphaned(sb);
	op_end(op, op->dial.loop);
}

/* The answer to a wait that failed. Not a client's mistake any more. */
static void op_fail(struct op *op, const struct err *why)
{
	struct conn *c = op->c;
	const char *code;
	unsigned status = error_status(why->code, &code);

	if (status != 422 && status != 409)
		status = error_status(EIO, &code);
	op_end(op, &c->d->loop);
	if (!op->stream) {
		conn_error(c, status, code, why->text);
		return;
	}
	conn_unwait(c);
	if (conn_chunk_json(c, error_json(code, why->text)) < 0)
		conn_close(c);
	else
		conn_stream_end(c);
}

static void op_succeed(struct op *op)
{
	struct conn *c = op->c;
	struct sandbox *sb = op->sb;
	json_t *j = api_sandbox_json(sb, true);

	if (op->kind == OP_CREATE && sb->spec.remove) {
		list_del(&sb->creator);
		list_add_tail(&c->created, &sb->creator);
	}
	op_end(op, &c->d->loop);
	if (!op->stream) {
		conn_reply(c, op->kind == OP_CREATE ? 201 : 200, j);
		return;
	}
	conn_unwait(c);
	if (conn_chunk_json(c, json_pack("{s:o}", "sandbox", j)) < 0)
		conn_close(c);
	else
		conn_stream_end(c);
}

static void send_progress(struct op *op)
{
	const struct progress *p = &op->sb->progress;
	json_t *j;

	/* A client that does not read misses progress, nothing else. */
	if (!op->stream || conn_pending(op->c) > 64 * KIB)
		return;
	j = json_pack("{s:{s:o, s:o, s:I, s:I}}", "progress", "step",
		json_text(p->step), "text", json_text(p->text), "done",
		(json_int_t)p->done, "total", (json_int_t)p->total);
	(void)conn_chunk_json(op->c, j);
}

/* The sandbox is gone for good, as asked or because it failed. */
static void on_removed(struct op *op)
{
	struct sandbox *sb = op->sb;
	struct conn *c = op->c;
	struct err err = sb->err;

	if (op->kind == OP_DELETE) {
		op_end(op, &c->d->loop);
		conn_reply(c, 204, NULL);
		return;
	}
	if (op->kind == OP_STOP && err.code == 0) {
		op_succeed(op);
		return;
	}
	if (err.code == 0)
		(void)err_set(
			&err, EBUSY, "sandbox '%s' was removed", sb->row.name);
	op_fail(op, &err);
}

static void on_note(
	struct observer *o, struct sandbox *sb, enum sandbox_note note)
{
	struct op *op = container_of(o, struct op, obs);

	if (note == NOTE_PROGRESS)
		send_progress(op);
	else if (note == NOTE_STATE)
		loop_defer(&sb->d->loop, &op->step, on_step);
	else if (note == NOTE_REMOVED)
		on_removed(op);
}

static void fail_state(struct op *op)
{
	struct sandbox *sb = op->sb;
	struct err err = sb->err;

	if (err.code == 0)
		(void)err_set(&err, EIO, "sandbox '%s' is %s%s%s", sb->row.name,
			state_name(sb->state), sb->row.reason[0] ? ": " : "",
			sb->row.reason);
	op_fail(op, &err);
}

/* A stream may outlive its sandbox: it knows it by id only. */
struct bridge_use {
	struct daemon *d;
	char id[ID_LEN + 1];
};

static void on_bridge_end(void *arg)
{
	struct bridge_use *use = arg;
	struct sandbox *sb = sandbox_find(use->d, use->id);

	if (sb)
		sandbox_exec_end(sb);
	free(use);
}

static void switch_protocols(struct op *op, int guest)
{
	struct daemon *d = op->sb->d;
	struct bridge_use *use = xnew(struct bridge_use);
	struct buf early, head;
	int client;

	use->d = d;
	(void)snprintf(use->id, sizeof(use->id), "%s", op->sb->row.id);
	buf_init(&early, BRIDGE_PENDING);
	buf_init(&head, 1024);
	(void)http_put_status(&head, 101);
	(void)http_put_field(&head, "Connection", "Upgrade");
	(void)http_put_field(&head, "Upgrade", "cove-stream");
	(void)http_put_end(&head);
	sandbox_exec_begin(op->sb);
	client = conn_detach(op->c, &early);
	op_end(op, &d->loop);
	if (bridge_start(&d->loop, &d->bridges, client, guest, &early, &head,
		    d->scratch, SCRATCH_SIZE, on_bridge_end, use) < 0)
		on_bridge_end(use);
	buf_done(&early);
	buf_done(&head);
}

static void on_dialed(struct dial *dl, int fd)
{
	struct op *op = container_of(dl, struct op, dial);
	struct err err = {0};

	op->dialing = false;
	if (fd >= 0) {
		switch_protocols(op, fd);
		return;
	}
	/* The engine may just have ended: then the state tells, soon. */
	(void)err_set(&err, ETIMEDOUT,
		"the agent in sandbox '%s' did not answer (%s); see: cove logs "
		"%s",
		op->sb->row.name, strerror(-fd), op->sb->row.name);
	op_fail(op, &err);
}

static void dial_guest(struct op *op)
{
	_cleanup_free_ char *run = sandbox_run_dir(op->sb);
	int r;

	if (op->dialing)
		return;
	r = dial_start(&op->dial, &op->sb->d->loop, run, PORT_EXEC, DIAL_MS,
		on_dialed);
	if (r < 0) {
		on_dialed(&op->dial, r);
		return;
	}
	op->dialing = true;
}

static void on_late(struct loop *l, struct timer *t)
{
	struct op *op = container_of(t, struct op, late);
	struct err err = {0};

	(void)err_set(&err, ETIMEDOUT,
		"the guest of sandbox '%s' does not answer; end it with: cove "
		"stop %s (the next command starts it again)",
		op->sb->row.name, op->sb->row.name);
	op_fail(op, &err);
}

/* create, start and exec: towards a running guest. */
static void step_up(struct op *op)
{
	struct sandbox *sb = op->sb;
	struct loop *l = &sb->d->loop;
	struct err err = {0};

	if (sb->state != SB_UNRESPONSIVE)
		loop_untimer(l, &op->late);
	switch (sb->state) {
	case SB_RUNNING:
	case SB_PAUSED:
		if (op->kind == OP_EXEC)
			dial_guest(op);
		else
			op_succeed(op);
		return;
	case SB_CREATING:
	case SB_STARTING:
		op->acted = true; /* what comes of it is the answer */
		return;
	case SB_STOPPING:
		return;
	case SB_STOPPED:
	case SB_FAILED:
		if (op->acted) {
			fail_state(op);
			return;
		}
		op->acted = true;
		if (sandbox_start(sb, &err) < 0)
			op_fail(op, &err);
		return;
	case SB_UNRESPONSIVE:
		if (!op->late.armed)
			loop_timer(l, &op->late, UNRESPONSIVE_MS, on_late);
		return;
	}
}

static void step_stop(struct op *op)
{
	struct sandbox *sb = op->sb;
	struct err err = {0};

	if (sb->state == SB_STOPPED || sb->state == SB_FAILED) {
		op_succeed(op);
		return;
	}
	if (op->acted)
		return;
	op->acted = true;
	if (sandbox_stop(sb, op->timeout_ms, &err) < 0)
		op_fail(op, &err);
}

static void step_delete(struct op *op)
{
	if (!op->acted) {
		op->acted = true;
		sandbox_remove(op->sb);
		return;
	}
	/* The store refused: it is still there. */
	if (op->sb->state == SB_FAILED && !op->sb->removing)
		fail_state(op);
}

static void on_step(struct loop *l, struct task *t)
{
	struct op *op = container_of(t, struct op, step);

	if (op->kind == OP_STOP)
		step_stop(op);
	else if (op->kind == OP_DELETE)
		step_delete(op);
	else
		step_up(op);
}

void op_begin(struct conn *c, struct sandbox *sb, enum op_kind kind,
	bool stream, uint64_t timeout_ms)
{
	struct op *op = xnew(struct op);

	op->c = c;
	op->sb = sb;
	op->kind = kind;
	op->stream = stream;
	op->acted = kind == OP_CREATE; /* it was begun by being created */
	op->timeout_ms = timeout_ms;
	op->obs.fn = on_note;
	op->dial.loop = &c->d->loop;
	conn_wait(c, op, on_client_gone);
	sandbox_observe(sb, &op->obs);
	if (stream)
		(void)conn_stream(c, "application/x-ndjson");
	loop_defer(&c->d->loop, &op->step, on_step);
}
