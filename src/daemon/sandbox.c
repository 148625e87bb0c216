/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sandbox.h"

#include "daemon/ask.h"
#include "daemon/control.h"
#include "daemon/docker.h"
#include "daemon/gate.h"
#include "daemon/names.h"
#include "daemon/ports.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define EVENT_TOKENS 20u /* events a guest may cause in one burst */
#define EVENT_REFILL_MS 3000u

static const char *const state_names[] = {
	[SB_CREATING] = "creating",
	[SB_STARTING] = "starting",
	[SB_RUNNING] = "running",
	[SB_PAUSED] = "paused",
	[SB_STOPPING] = "stopping",
	[SB_STOPPED] = "stopped",
	[SB_FAILED] = "failed",
	[SB_UNRESPONSIVE] = "unresponsive",
};

const char *state_name(enum sandbox_state s)
{
	return state_names[s];
}

bool state_parse(const char *name, enum sandbox_state *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
		if (!streq(state_names[i], name))
			continue;
		*ret = (enum sandbox_state)i;
		return true;
	}
	return false;
}

struct sandbox *sandbox_find_name(const struct daemon *d, const char *name)
{
	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (streq(sb->row.name, name))
			return sb;
	}
	return NULL;
}

struct sandbox *sandbox_find(const struct daemon *d, const char *name_or_id)
{
	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (streq(sb->row.id, name_or_id))
			return sb;
	}
	return sandbox_find_name(d, name_or_id);
}

char *sandbox_run_dir(const struct sandbox *sb)
{
	return xasprintf("%s/%s", sb->d->paths.run, sb->row.id);
}

char *sandbox_dir(const struct sandbox *sb)
{
	return xasprintf("%s/sandboxes/%s", sb->d->paths.state, sb->row.id);
}

int daemon_open_dir(struct daemon *d, const char *name,
	const struct sandbox *sb, int *ret, struct err *err)
{
	_cleanup_free_ char *path =
		sb ? sandbox_dir(sb) : xasprintf("%s/%s", d->paths.state, name);
	int r = sb ? 0 : paths_make(path, err);
	int fd;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	*ret = fd;
	return 0;
}

void sandbox_observe(struct sandbox *sb, struct observer *o)
{
	list_add_tail(&sb->observers, &o->link);
}

void sandbox_leave(struct observer *o)
{
	list_del(&o->link);
}

/* Each observer is told once, whoever joins or leaves meanwhile. */
void sandbox_notify(struct sandbox *sb, enum sandbox_note note)
{
	struct list told;

	list_init(&told);
	while (!list_empty(&sb->observers)) {
		struct observer *o =
			list_entry(sb->observers.next, struct observer, link);

		list_del(&o->link);
		list_add_tail(&told, &o->link);
		o->fn(o, sb, note);
	}
	while (!list_empty(&told)) {
		struct list *it = told.next;

		list_del(it);
		list_add_tail(&sb->observers, it);
	}
}

int sandbox_save(struct sandbox *sb, struct err *err)
{
	return store_update(sb->d->store, &sb->row, err);
}

static void set_text(char **dst, const char *text)
{
	char *copy = xstrdup(text);

	free(*dst);
	*dst = copy;
}

/*
 * With err the change is a wish: it happens only when the store has it. Without
 * it is a fact, which stays true when the disk is full.
 */
int sandbox_set_state(struct sandbox *sb, enum sandbox_state state,
	const char *reason, struct err *err)
{
	enum sandbox_state old = sb->state;
	struct err local = {0};
	int r;

	set_text(&sb->row.state, state_name(state));
	set_text(&sb->row.reason, reason);
	r = sandbox_save(sb, &local);
	if (r < 0 && err) {
		set_text(&sb->row.state, state_name(old));
		*err = local;
		return r;
	}
	if (r < 0)
		log_error("state not saved sandbox=%s: %s", sb->row.name,
			local.text);
	sb->state = state;
	if (old != state)
		log_info("%s -> %s sandbox=%s%s%s", state_name(old),
			state_name(state), sb->row.name, *reason ? " " : "",
			reason);
	sandbox_notify(sb, NOTE_STATE);
	return 0;
}

void sandbox_event(struct sandbox *sb, const char *type, const char *text)
{
	struct event e = {now_real_ns(), type, text};
	struct err err = {0};

	if (store_event_put(sb->d->store, sb->row.id, &e, &err) < 0)
		log_warn("event not saved sandbox=%s: %s", sb->row.name,
			err.text);
	sb->last_event = e;
	sandbox_notify(sb, NOTE_EVENT);
	sb->last_event = (struct event){0};
}

void sandbox_guest_event(struct sandbox *sb, const char *type, const char *text)
{
	uint64_t now = now_ms();
	uint64_t refill = (now - sb->event_ms) / EVENT_REFILL_MS;

	if (refill > 0) {
		sb->event_tokens = (unsigned)MIN(
			sb->event_tokens + refill, (uint64_t)EVENT_TOKENS);
		sb->event_ms = now;
	}
	if (sb->event_tokens == 0) {
		sb->d->counter++;
		return;
	}
	sb->event_tokens--;
	sandbox_event(sb, type, text);
}

static struct sandbox *sandbox_new(struct daemon *d)
{
	struct sandbox *sb = xnew(struct sandbox);

	sb->d = d;
	sb->ctl_listen.fd = -1;
	for (size_t i = 0; i < ENGINE_N_ROLES; i++)
		sb->engine.pidfd[i] = -1;
	sb->event_tokens = EVENT_TOKENS;
	list_init(&sb->link);
	list_init(&sb->creator);
	list_init(&sb->observers);
	job_watcher_init(&sb->job);
	return sb;
}

void sandbox_free(struct sandbox *sb)
{
	struct loop *l = &sb->d->loop;

	control_close(sb);
	docker_close(sb);
	gate_free(sb);
	ports_free(sb);
	ask_free(sb);
	loop_untimer(l, &sb->boot);
	loop_untimer(l, &sb->life);
	loop_untimer(l, &sb->stop);
	loop_untimer(l, &sb->linger);
	loop_untimer(l, &sb->devices);
	for (size_t i = 0; i < ENGINE_N_ROLES; i++)
		loop_unwatch(l, &sb->ended[i]);
	if (sb->d->backend->is_open(&sb->engine))
		sb->d->backend->close(&sb->engine);
	job_leave(&sb->job);
	list_del(&sb->link);
	list_del(&sb->creator);
	while (!list_empty(&sb->observers))
		list_del(sb->observers.next);
	row_done(&sb->row);
	spec_done(&sb->spec);
	template_done(&sb->template);
	free(sb);
}

const struct template *sandbox_template(struct sandbox *sb)
{
	if (!sb->template.digest && sb->row.digest[0])
		(void)cache_template_open(
			&sb->d->paths, sb->row.digest, &sb->template, NULL);
	return sb->template.digest ? &sb->template : NULL;
}

char *sandbox_workdir(struct sandbox *sb)
{
	const struct template *t = sandbox_template(sb);

	if (sb->spec.n_workspaces == 0 && t && t->workdir)
		return xstrdup(t->workdir);
	return spec_workdir(&sb->spec);
}

static void free_later(struct loop *l, struct task *t)
{
	sandbox_free(container_of(t, struct sandbox, free_task));
}

static char *spec_text(const struct spec *s)
{
	_cleanup_json_ json_t *j = spec_json(s);
	char *text = json_dumps(j, JSON_COMPACT);

	assert(text);
	return text;
}

int sandbox_save_spec(struct sandbox *sb, struct err *err)
{
	free(sb->row.spec);
	sb->row.spec = spec_text(&sb->spec);
	return sandbox_save(sb, err);
}

int sandbox_create(struct daemon *d, struct spec *spec, struct sandbox **ret,
	struct err *err)
{
	struct sandbox *sb = sandbox_new(d);
	char id[ID_LEN + 1];
	int r;

	id_make(id);
	sb->spec = *spec;
	*spec = (struct spec){0};
	sb->state = SB_CREATING;
	sb->row = (struct row){
		.id = xstrdup(id),
		.name = xstrdup(sb->spec.name),
		.spec = spec_text(&sb->spec),
		.state = xstrdup(state_name(SB_CREATING)),
		.reason = xstrdup(""),
		.digest = xstrdup(""),
		.kernel = xstrdup(""),
		.engine = xstrdup("{}"),
		.created_ns = now_real_ns(),
		.fresh = true,
	};
	r = store_insert(d->store, &sb->row, err);
	if (r < 0) {
		sandbox_free(sb);
		return r;
	}
	list_add_tail(&d->sandboxes, &sb->link);
	docker_open(sb);
	log_info("creating sandbox=%s id=%s", sb->row.name, sb->row.id);
	*ret = sb;
	return 0;
}

static int load_spec(struct sandbox *sb, struct err *err)
{
	_cleanup_json_ json_t *j = NULL;
	int r = json_read(sb->row.spec, strlen(sb->row.spec), &j, err);

	if (r == 0)
		r = spec_read(j, &sb->d->host, &sb->spec, err);
	if (r == 0 &&
		(!sb->spec.name || !id_is_valid(sb->row.id) ||
			!state_parse(sb->row.state, &sb->state)))
		r = err_set(err, EBADMSG, "unknown values");
	return r < 0 ? err_wrap(err, "sandbox '%s' in the store", sb->row.name)
		     : 0;
}

struct sandbox *sandbox_load(struct daemon *d, struct row *row, struct err *err)
{
	struct sandbox *sb = sandbox_new(d);

	sb->row = *row;
	*row = (struct row){0};
	if (load_spec(sb, err) < 0) {
		sandbox_free(sb);
		return NULL;
	}
	list_add_tail(&d->sandboxes, &sb->link);
	docker_open(sb);
	return sb;
}

void sandbox_progress(struct sandbox *sb, const char *step, const char *text)
{
	sb->progress = (struct progress){0};
	(void)snprintf(
		sb->progress.step, sizeof(sb->progress.step), "%s", step);
	(void)snprintf(
		sb->progress.text, sizeof(sb->progress.text), "%s", text);
	sandbox_notify(sb, NOTE_PROGRESS);
}

void sandbox_fail(struct sandbox *sb, const struct err *err)
{
	if (err != &sb->err)
		sb->err = *err;
	if (sb->d->backend->is_open(&sb->engine)) {
		sandbox_end_engine(sb); /* and then again from engine_gone */
		return;
	}
	if (sb->removing || sb->row.fresh) {
		log_warn("create failed sandbox=%s: %s", sb->row.name,
			sb->err.text);
		sb->state = SB_FAILED;
		set_text(&sb->row.reason, sb->err.text);
		sandbox_finish_remove(sb);
		return;
	}
	sandbox_event(sb, "failed", sb->err.text);
	(void)sandbox_set_state(sb, SB_FAILED, sb->err.text, NULL);
}

int sandbox_start(struct sandbox *sb, struct err *err)
{
	if (sb->state != SB_STOPPED && sb->state != SB_FAILED)
		return err_set(err, EBUSY, "sandbox '%s' is %s", sb->row.name,
			state_name(sb->state));
	sb->err = (struct err){0};
	sb->boot_retried = false;
	sb->prepare_rounds = 0;
	if (sandbox_set_state(sb, SB_STARTING, "", err) < 0)
		return -err->code;
	sandbox_prepare(sb);
	return 0;
}

static void stop_late(struct loop *l, struct timer *t)
{
	struct sandbox *sb = container_of(t, struct sandbox, stop);

	sandbox_event(sb, "stop.forced",
		"the guest did not power off in time; it was ended");
	sandbox_end_engine(sb);
}

int sandbox_stop(struct sandbox *sb, uint64_t timeout_ms, struct err *err)
{
	struct loop *l = &sb->d->loop;

	switch (sb->state) {
	case SB_STOPPED:
	case SB_FAILED:
	case SB_STOPPING:
		return 0;
	case SB_CREATING:
		return err_set(err, EBUSY, "sandbox '%s' is being created",
			sb->row.name);
	case SB_STARTING:
	case SB_RUNNING:
	case SB_PAUSED:
	case SB_UNRESPONSIVE:
		break;
	}
	/* Not a wish: also on a full disk things can be stopped. */
	(void)sandbox_set_state(sb, SB_STOPPING, "", NULL);
	loop_untimer(l, &sb->boot);
	job_leave(&sb->job);
	if (!sb->d->backend->is_open(&sb->engine)) {
		sandbox_engine_gone(sb);
		return 0;
	}
	/* Without a guest that listens the engine flushes and ends. */
	if (!control_shutdown(sb, timeout_ms)) {
		sb->d->backend->quit(&sb->engine);
		timeout_ms = 0;
	}
	loop_timer(l, &sb->stop, timeout_ms + sb->d->stop_grace_ms, stop_late);
	return 0;
}

void sandbox_remove(struct sandbox *sb)
{
	sb->removing = true;
	job_leave(&sb->job);
	if (!sb->d->backend->is_open(&sb->engine)) {
		sandbox_finish_remove(sb);
		return;
	}
	if (sb->state != SB_STOPPING)
		(void)sandbox_set_state(sb, SB_STOPPING, "", NULL);
	sandbox_end_engine(sb);
}

/*
 * The row goes first: a coved that dies in between finds directories that
 * belong to nobody and removes them, and never a sandbox without its disk. Only
 * on a full disk it is the other way round: the disks must make room for the
 * store to note that they are gone.
 */
static int forget(struct sandbox *sb, const char *dir, struct err *err)
{
	int r = store_delete(sb->d->store, sb->row.id, err);

	if (r != -ENOSPC || remove_tree(dir, NULL) < 0)
		return r;
	return store_delete(sb->d->store, sb->row.id, err);
}

void sandbox_finish_remove(struct sandbox *sb)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	struct err err = {0};

	sb->removing = true;
	if (forget(sb, dir, &err) < 0) {
		log_error("not removed sandbox=%s: %s", sb->row.name, err.text);
		sb->removing = false;
		sb->row.fresh = false;
		(void)sandbox_set_state(sb, SB_FAILED, err.text, NULL);
		return;
	}
	control_close(sb);
	docker_close(sb);
	gate_stop(sb);
	if (remove_tree(dir, &err) < 0 || remove_tree(run, &err) < 0)
		log_error("left behind sandbox=%s: %s", sb->row.name, err.text);
	log_info("removed sandbox=%s", sb->row.name);
	list_del(&sb->link);
	sandbox_notify(sb, NOTE_REMOVED);
	loop_defer(&sb->d->loop, &sb->free_task, free_later);
}

/* How the life under way ends, now that its processes are gone. */
void sandbox_engine_gone(struct sandbox *sb)
{
	struct loop *l = &sb->d->loop;
	enum sandbox_state state = sb->state;
	struct err err = {0};

	loop_untimer(l, &sb->boot);
	loop_untimer(l, &sb->life);
	loop_untimer(l, &sb->stop);
	control_close(sb);
	if (sb->boot_again && state == SB_STARTING) {
		sb->boot_again = false;
		sandbox_boot(sb);
		return;
	}
	if (sb->removing && !sb->row.fresh) {
		sandbox_finish_remove(sb);
		return;
	}
	if (sb->err.code != 0) {
		sandbox_fail(sb, &sb->err);
		return;
	}
	if (state == SB_STOPPING || (sb->powered_off && state != SB_STARTING)) {
		if (sb->spec.remove || sb->removing || sb->row.fresh)
			sandbox_finish_remove(sb);
		else
			(void)sandbox_set_state(sb, SB_STOPPED, "", NULL);
		return;
	}
	(void)err_set(&err, EIO, "the virtual machine ended %s: %s",
		state == SB_STARTING ? "while starting" : "unexpectedly",
		sb->why_ended[0] ? sb->why_ended : "unknown cause");
	sandbox_add_console(sb, &err);
	sandbox_fail(sb, &err);
}

static void life_over(struct loop *l, struct timer *t)
{
	struct sandbox *sb = container_of(t, struct sandbox, life);
	struct err err = {0};
	char text[96];

	(void)snprintf(text, sizeof(text),
		"the time limit of %llu s is over; stopping",
		(unsigned long long)(sb->spec.timeout_ms / 1000));
	sandbox_event(sb, "timeout", text);
	if (sandbox_stop(sb, STOP_TIMEOUT_MS, &err) < 0)
		log_error("stop sandbox=%s: %s", sb->row.name, err.text);
}

/* Counts from the start that is recorded, so a new coved goes on counting. */
void sandbox_watch_life(struct sandbox *sb)
{
	uint64_t gone = (now_real_ns() - sb->row.started_ns) / 1000000u;

	if (sb->spec.timeout_ms == 0)
		return;
	if (now_real_ns() < sb->row.started_ns)
		gone = 0; /* the clock was set back */
	loop_timer(&sb->d->loop, &sb->life,
		gone < sb->spec.timeout_ms ? sb->spec.timeout_ms - gone : 0,
		life_over);
}

void sandbox_exec_begin(struct sandbox *sb)
{
	sb->had_exec = true;
	sb->n_execs++;
	loop_untimer(&sb->d->loop, &sb->linger);
}

void sandbox_exec_end(struct sandbox *sb)
{
	assert(sb->n_execs > 0);
	sb->n_execs--;
}

static void linger_over(struct loop *l, struct timer *t)
{
	struct sandbox *sb = container_of(t, struct sandbox, linger);

	log_info("nobody came to use sandbox=%s", sb->row.name);
	sandbox_remove(sb);
}

void sandbox_orphaned(struct sandbox *sb)
{
	if (sb->spec.remove && !sb->had_exec && !sb->removing)
		loop_timer(&sb->d->loop, &sb->linger, sb->d->linger_ms,
			linger_over);
}
