/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/adopt.h"

#include "daemon/control.h"
#include "daemon/gate.h"
#include "daemon/job.h"
#include "daemon/prune.h"
#include "daemon/sandbox.h"

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define END_WAIT_MS 5000

static int load_row(void *arg, struct row *row, struct err *err)
{
	return sandbox_load(arg, row, err) ? 0 : -err->code;
}

/* Ends one recorded process, or its group, and waits until it is gone. */
static void end_proc(const struct proc_id *id, bool group)
{
	_cleanup_close_ int fd = id->pid > 0 ? proc_open(id) : -1;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return;
	if (group)
		(void)kill(-id->pid, SIGKILL);
	(void)proc_signal(fd, SIGKILL);
	(void)poll(&p, 1, END_WAIT_MS);
}

/* Processes by owner, as the store has them. */
static void place_proc(void *arg, const char *owner, const char *role,
	const struct proc_id *id)
{
	struct sandbox *sb = sandbox_find(arg, owner);

	if (sb && streq(role, "engine"))
		sb->engine.id[ENGINE_MONITOR] = *id;
	else if (sb && streq(role, "devices"))
		sb->engine.id[ENGINE_DEVICES] = *id;
	else if (sb && streq(role, "gate"))
		sb->gate_id = *id;
	else /* a helper, with what it started: it leads its group */
		end_proc(id, streq(role, JOB_OWNER));
}

static void end_procs(struct sandbox *sb)
{
	for (size_t i = 0; i < ENGINE_N_ROLES; i++) {
		end_proc(&sb->engine.id[i], false);
		sb->engine.id[i] = (struct proc_id){0};
	}
	end_proc(&sb->gate_id, false);
	sb->gate_id = (struct proc_id){0};
	(void)store_proc_clear(sb->d->store, sb->row.id, NULL);
}

static void settle(
	struct sandbox *sb, enum sandbox_state state, const char *reason)
{
	end_procs(sb);
	if (sb->row.fresh || (sb->spec.remove && state == SB_STOPPED)) {
		log_info("rolling back an unfinished create sandbox=%s",
			sb->row.name);
		sandbox_finish_remove(sb);
		return;
	}
	if (*reason)
		sandbox_event(sb, state_name(state), reason);
	(void)sandbox_set_state(sb, state, reason, NULL);
}

/* It was running when coved went: is it still? */
static void take_over(struct sandbox *sb)
{
	struct proc_id id[ENGINE_N_ROLES];
	struct err err = {0};
	int r;

	memcpy(id, sb->engine.id, sizeof(id));
	r = sb->d->backend->adopt(id, &sb->engine);
	if (r < 0) {
		settle(sb, SB_FAILED,
			"the virtual machine ended while coved was not "
			"running");
		return;
	}
	/* First: whatever fails next also ends the gate. */
	if (sb->d->backend->gate)
		gate_adopt(sb, &sb->gate_id);
	r = sandbox_watch_engine(sb, &err);
	if (r == 0)
		r = sandbox_listen(sb, &err);
	if (r < 0) {
		sandbox_fail(sb, &err);
		return;
	}
	log_info("adopted sandbox=%s pid=%d", sb->row.name,
		(int)sb->engine.id[ENGINE_MONITOR].pid);
	sandbox_watch_life(sb);
	control_resume(sb);
}

static void settle_one(struct sandbox *sb)
{
	switch (sb->state) {
	case SB_RUNNING:
	case SB_PAUSED:
	case SB_UNRESPONSIVE:
		take_over(sb);
		return;
	case SB_CREATING:
	case SB_STARTING:
		settle(sb, SB_STOPPED, "coved ended while it was starting");
		return;
	case SB_STOPPING:
		settle(sb, SB_STOPPED, "coved ended while it was stopping");
		return;
	case SB_STOPPED:
	case SB_FAILED:
		if (sb->row.fresh)
			settle(sb, sb->state, "");
		else
			end_procs(sb); /* there should be none */
		return;
	}
}

int adopt(struct daemon *d, struct err *err)
{
	int r = store_each(d->store, load_row, d, err);

	if (r == 0)
		r = store_proc_each(d->store, place_proc, d, err);
	if (r == 0)
		r = store_proc_clear_role(d->store, JOB_OWNER, err);
	if (r < 0)
		return r;
	list_for_each_safe (it, &d->sandboxes)
		settle_one(list_entry(it, struct sandbox, link));
	/*
	 * Without the store that knew them, disks are somebody's work, not
	 * leftovers: they stay until prune is asked to remove them.
	 */
	if (!d->store_is_new)
		prune_leftovers(d);
	return 0;
}
