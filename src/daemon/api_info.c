/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api.h"

#include "daemon/cache.h"
#include "daemon/prune.h"

#include <unistd.h>

void api_version(struct request *rq)
{
	conn_reply(rq->c, 200,
		json_pack("{s:s, s:i, s:i, s:i, s:o}", "version", COVE_VERSION,
			"api", API_VERSION, "pid", (int)getpid(), "uid",
			(int)geteuid(), "started",
			json_time(rq->d->host.boot_ns)));
}

static json_t *engine_json(struct daemon *d, const char *want)
{
	struct engine_choice c = {.name = "qemu"};
	struct err err = {0};
	int r = d->backend->choose(want, &c, &err);

	return json_pack("{s:s, s:b, s:s, s:s, s:o}", "name", want, "available",
		r == 0, "accel",
		r < 0                           ? ""
			: c.accel == ENGINE_KVM ? "kvm"
						: "tcg",
		"isolation", r < 0 ? "" : c.isolation, "why",
		json_text(r < 0 ? err.text : c.why));
}

void api_host(struct request *rq)
{
	conn_reply(rq->c, 200,
		json_pack("{s:I, s:I, s:[o, o]}", "cpus",
			(json_int_t)rq->d->host.cpus, "memory",
			(json_int_t)rq->d->host.memory, "engines",
			engine_json(rq->d, "kvm"), engine_json(rq->d, "qemu")));
}

void api_templates(struct request *rq)
{
	conn_reply(rq->c, 200, cache_templates_json(&rq->d->paths));
}

void api_prune(struct request *rq)
{
	struct {
		bool dry_run;
	} opt = {false};
	static const struct field fields[] = {{"dry_run", FIELD_BOOL, 0}};
	struct err err = {0};
	json_t *result;

	if (rq->body && fields_read(rq->body, fields, 1, &opt, &err) < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	result = prune(rq->d, opt.dry_run, &err);
	if (result)
		conn_reply(rq->c, 200, result);
	else
		conn_fail(rq->c, &err);
}

static void stop_later(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
	free(t);
}

void api_daemon_stop(struct request *rq)
{
	struct task *t = xnew(struct task);

	rq->c->keep_alive = false;
	conn_reply(rq->c, 202, json_object());
	loop_defer(&rq->d->loop, t, stop_later);
}
