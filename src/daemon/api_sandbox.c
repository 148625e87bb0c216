/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api.h"

#include "daemon/cache.h"
#include "daemon/disk.h"
#include "daemon/docker.h"
#include "daemon/gate.h"
#include "daemon/names.h"
#include "daemon/op.h"
#include "daemon/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_IN_SANDBOX 20u
#define NAME_TRIES 100u

static void add_event(void *arg, const struct event *e)
{
	json_array_append_new(arg,
		json_pack("{s:o, s:o, s:o}", "time", json_time(e->time_ns),
			"type", json_text(e->type), "text",
			json_text(e->text)));
}

json_t *api_events_json(struct sandbox *sb, unsigned max)
{
	json_t *list = json_array();

	(void)store_event_each(
		sb->d->store, sb->row.id, max, add_event, list, NULL);
	return list;
}

/* Sizes that must be asked for, and the history. */
static void add_detail(struct sandbox *sb, json_t *j)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_close_ int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool open_engine = sb->d->backend->is_open(&sb->engine);
	uint64_t used = 0;

	if (fd >= 0)
		used = disk_used(fd, "disk.img") + disk_used(fd, "docker.img");
	json_object_set_new(j, "disk_used", json_integer((json_int_t)used));
	json_object_set_new(j, "memory_used",
		json_integer(open_engine ? (json_int_t)sb->d->backend->memory(
						   &sb->engine)
					 : 0));
	json_object_set_new(
		j, "net_used", json_integer((json_int_t)gate_used(sb)));
	json_object_set_new(
		j, "events", api_events_json(sb, EVENTS_IN_SANDBOX));
}

static json_t *pids_json(struct sandbox *sb)
{
	json_t *j;

	if (!sb->d->backend->is_open(&sb->engine))
		return json_object();
	j = json_pack("{s:i, s:i}", "engine",
		(int)sb->engine.id[ENGINE_MONITOR].pid, "devices",
		(int)sb->engine.id[ENGINE_DEVICES].pid);
	if (gate_pid(sb) > 0)
		json_object_set_new(j, "gate", json_integer(gate_pid(sb)));
	return j;
}

json_t *api_sandbox_json(struct sandbox *sb, bool detail)
{
	_cleanup_free_ char *docker = docker_path(sb);
	_cleanup_free_ char *workdir = sandbox_workdir(sb);
	const struct template *t = sandbox_template(sb);
	json_t *j = spec_json(&sb->spec);
	json_t *engine = NULL;

	if (json_read(sb->row.engine, strlen(sb->row.engine), &engine, NULL) <
		0)
		engine = json_object();
	json_object_del(j, "engine");
	json_object_set_new(j, "docker_socket", json_text(docker));
	json_object_del(j, "publish");
	json_object_set_new(j, "ports", ports_json(sb));
	json_object_update_new(j,
		json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o,"
			  " s:o}",
			"id", sb->row.id, "name", sb->row.name, "state",
			state_name(sb->state), "reason",
			json_text(sb->row.reason), "template_digest",
			json_text(sb->row.digest), "engine", engine, "kernel",
			json_text(sb->row.kernel), "workdir",
			json_text(workdir), "created",
			json_time(sb->row.created_ns), "started",
			json_time(sb->row.started_ns), "pids_host",
			pids_json(sb)));
	if (t && t->config)
		json_object_set(j, "image_config", t->config);
	if (detail)
		add_detail(sb, j);
	return j;
}

void api_list(struct request *rq)
{
	json_t *list = json_array();

	list_for_each (it, &rq->d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		json_array_append_new(list, api_sandbox_json(sb, false));
	}
	conn_reply(rq->c, 200, json_pack("{s:o}", "sandboxes", list));
}

void api_get(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);

	if (sb)
		conn_reply(rq->c, 200, api_sandbox_json(sb, true));
}

static const char *first_dir(const struct spec *s)
{
	return s->n_workspaces > 0 ? s->workspaces[0].host : NULL;
}

/* The same template on the same directory: there is something to attach to. */
static bool same_place(const struct sandbox *sb, const struct spec *s)
{
	const char *a = first_dir(&sb->spec);
	const char *b = first_dir(s);

	return a && b && streq(a, b) && streq(sb->spec.template, s->template);
}

static int choose_name(struct daemon *d, struct spec *s, struct err *err)
{
	char name[NAME_MAX_LEN + 1];
	struct sandbox *sb;

	for (unsigned n = 1; n <= NAME_TRIES; n++) {
		name_default(s->template, first_dir(s), n, name);
		sb = sandbox_find_name(d, name);
		if (!sb) {
			s->name = xstrdup(name);
			return 0;
		}
		if (same_place(sb, s))
			return err_set(err, EEXIST,
				"sandbox '%s' already works on '%s'; use it, "
				"or give the new one a name of its own",
				sb->row.name, first_dir(s));
	}
	return err_set(err, EEXIST,
		"'%s' and its numbered names are taken; "
		"give a name",
		name);
}

/* Everything that can be known before anything is made. */
static int check_create(struct daemon *d, struct spec *s, struct err *err)
{
	_cleanup_free_ char *digest = NULL;
	struct engine_choice choice;
	int r = spec_check(s, &d->host, &d->paths, err);

	if (r < 0)
		return r;
	if (s->name && sandbox_find(d, s->name))
		return err_set(err, EEXIST,
			"a sandbox named '%s' exists; remove it first, or use "
			"another name",
			s->name);
	r = cache_template_digest(&d->paths, s->template, &digest, err);
	if (r < 0)
		return r;
	if (r == 0 && !streq(s->template, "shell"))
		return err_set(err, ENOENT,
			"no template named '%s'; see: cove template ls",
			s->template);
	r = d->backend->choose(s->engine, &choice, err);
	if (r == 0)
		r = disk_room(d, err);
	if (r < 0)
		return r;
	return s->name ? 0 : choose_name(d, s, err);
}

static bool wants_stream(const struct request *rq)
{
	return http_has_token(rq->head, "Accept", "application/x-ndjson") &&
		rq->head->minor == 1;
}

void api_create(struct request *rq)
{
	_cleanup_json_ json_t *none = json_object();
	_cleanup_(spec_done) struct spec s = {0};
	struct sandbox *sb = NULL;
	struct err err = {0};
	int r;

	r = spec_read(rq->body ? rq->body : none, &rq->d->host, &s, &err);
	if (r == 0)
		r = check_create(rq->d, &s, &err);
	if (r == 0)
		r = sandbox_create(rq->d, &s, &sb, &err);
	if (r < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	op_begin(rq->c, sb, OP_CREATE, wants_stream(rq), 0);
	sandbox_prepare(sb);
}

void api_start(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);

	if (sb)
		op_begin(rq->c, sb, OP_START, false, 0);
}

void api_stop(struct request *rq)
{
	struct {
		uint64_t timeout_ms;
	} opt = {STOP_TIMEOUT_MS};
	static const struct field fields[] = {
		{"timeout_ms", FIELD_U64, 0, 0, STOP_TIMEOUT_MAX_MS}};
	struct sandbox *sb = api_sandbox(rq);
	struct err err = {0};

	if (!sb)
		return;
	if (rq->body && fields_read(rq->body, fields, 1, &opt, &err) < 0)
		conn_fail(rq->c, &err);
	else
		op_begin(rq->c, sb, OP_STOP, false, opt.timeout_ms);
}

void api_delete(struct request *rq)
{
	struct sandbox *sb = api_sandbox(rq);
	char text[200];
	bool force;

	if (!sb || api_flag(rq, "force", &force) < 0)
		return;
	if (!force && sb->state != SB_STOPPED && sb->state != SB_FAILED) {
		(void)snprintf(text, sizeof(text),
			"sandbox '%s' is %s; stop it first, or use force",
			sb->row.name, state_name(sb->state));
		conn_error(rq->c, 409, "conflict", text);
		return;
	}
	op_begin(rq->c, sb, OP_DELETE, false, 0);
}

void api_exec(struct request *rq)
{
	const struct http_field *up = http_find(rq->head, "Upgrade");
	struct sandbox *sb;

	if (!rq->head->upgrade || !up ||
		!http_span_is_ci(rq->head, up->value, "cove-stream")) {
		conn_error(rq->c, 400, "bad_request",
			"exec needs Connection: Upgrade and Upgrade: "
			"cove-stream");
		return;
	}
	sb = api_sandbox(rq);
	if (sb)
		op_begin(rq->c, sb, OP_EXEC, false, 0);
}
