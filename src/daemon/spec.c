/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/spec.h"

#include "daemon/names.h"
#include "daemon/ports.h"

#include "wire/agent.h"

#include <errno.h>
#include <string.h>

struct raw {
	struct spec s;
	json_t *workspaces;
	json_t *env;
	json_t *publish;
};

static const struct field spec_fields[] = {
	{"name", FIELD_STR, offsetof(struct raw, s.name), 0, 255},
	{"template", FIELD_STR, offsetof(struct raw, s.template), 0, 255},
	{"workspaces", FIELD_JSON, offsetof(struct raw, workspaces),
		.json = JSON_ARRAY},
	{"cpus", FIELD_U32, offsetof(struct raw, s.cpus), 0, UINT32_MAX},
	{"memory", FIELD_U64, offsetof(struct raw, s.memory), 0, INT64_MAX},
	{"disk", FIELD_U64, offsetof(struct raw, s.disk), 0, INT64_MAX},
	{"docker_disk", FIELD_U64, offsetof(struct raw, s.docker_disk), 0,
		INT64_MAX},
	{"pids", FIELD_U32, offsetof(struct raw, s.pids), 0, UINT32_MAX},
	{"timeout_ms", FIELD_U64, offsetof(struct raw, s.timeout_ms), 0,
		INT64_MAX},
	{"net_rate_up", FIELD_U64, offsetof(struct raw, s.rate_up), 0,
		INT64_MAX},
	{"net_rate_down", FIELD_U64, offsetof(struct raw, s.rate_down), 0,
		INT64_MAX},
	{"net_quota", FIELD_U64, offsetof(struct raw, s.quota), 0, INT64_MAX},
	{"ask", FIELD_BOOL, offsetof(struct raw, s.ask)},
	{"ssh_agent", FIELD_STR, offsetof(struct raw, s.ssh_agent), 0,
		AGENT_PATH_MAX - 1},
	{"publish", FIELD_JSON, offsetof(struct raw, publish),
		.json = JSON_ARRAY},
	{"engine", FIELD_STR, offsetof(struct raw, s.engine), 0, 32},
	{"remove", FIELD_BOOL, offsetof(struct raw, s.remove)},
	{"env", FIELD_JSON, offsetof(struct raw, env), .json = JSON_OBJECT},
};

static const struct field workspace_fields[] = {
	{"host", FIELD_STR, offsetof(struct workspace, host), 1,
		AGENT_PATH_MAX - 1, .required = true},
	{"guest", FIELD_STR, offsetof(struct workspace, guest), 1,
		AGENT_PATH_MAX - 1},
	{"read_only", FIELD_BOOL, offsetof(struct workspace, read_only)},
};

void spec_done(struct spec *s)
{
	for (size_t i = 0; i < s->n_workspaces; i++) {
		free(s->workspaces[i].host);
		free(s->workspaces[i].guest);
	}
	free(s->workspaces);
	free(s->publish);
	free(s->name);
	free(s->template);
	free(s->engine);
	free(s->ssh_agent);
	json_decref(s->env);
	*s = (struct spec){0};
}

static void raw_done(struct raw *r)
{
	spec_done(&r->s);
}

static int read_workspaces(struct spec *s, json_t *array, struct err *err)
{
	size_t n = json_array_size(array);
	struct workspace *w;
	int r;

	if (n > BIRTH_EXPORTS)
		return err_set(err, EINVAL, "%zu workspaces; at most %u", n,
			BIRTH_EXPORTS);
	if (n == 0)
		return 0;
	s->workspaces = xcalloc(n, sizeof(*s->workspaces));
	s->n_workspaces = n;
	for (size_t i = 0; i < n; i++) {
		w = &s->workspaces[i];
		r = fields_read(json_array_get(array, i), workspace_fields,
			ARRAY_SIZE(workspace_fields), w, err);
		if (r < 0)
			return err_wrap(err, "workspaces[%zu]", i);
		if (!w->guest)
			w->guest = xstrdup(w->host);
	}
	return 0;
}

static int read_env(struct spec *s, json_t *env, struct err *err)
{
	size_t total = 0;
	const char *key, *text;
	json_t *v;

	s->env = env ? json_incref(env) : json_object();
	if (json_object_size(s->env) > SPEC_ENV_MAX)
		return err_set(err, EINVAL, "more than %u variables in 'env'",
			SPEC_ENV_MAX);
	json_object_foreach (s->env, key, v) {
		if (env_name_check(key, err) < 0)
			return -EINVAL;
		text = json_string_value(v);
		if (!text || strlen(text) != json_string_length(v))
			return err_set(err, EINVAL,
				"variable '%.80s' must be a string", key);
		total += strlen(key) + strlen(text) + 2;
	}
	if (total > SPEC_ENV_BYTES)
		return err_set(err, EINVAL, "'env' is larger than %u bytes",
			SPEC_ENV_BYTES);
	return 0;
}

/* Less than one is left as it is, to be refused as it was written. */
static uint64_t whole_mib(uint64_t bytes)
{
	return bytes < MIB ? bytes : bytes & ~(MIB - 1);
}

/* Behaviour 4: half the processors, a quarter of the memory. */
static void fill_defaults(struct spec *s, const struct host *host)
{
	if (!s->template)
		s->template = xstrdup("shell");
	if (!s->engine)
		s->engine = xstrdup("auto");
	if (s->cpus == 0)
		s->cpus = MIN(MAX(host->cpus / 2, 1u), SPEC_CPUS_MAX);
	if (s->memory == 0)
		s->memory = MIN(MAX(host->memory / 4, 512 * MIB), 8 * GIB);
	s->memory = whole_mib(s->memory);
	if (s->disk == 0)
		s->disk = 20 * GIB;
	if (s->docker_disk == 0)
		s->docker_disk = 10 * GIB;
	if (s->pids == 0)
		s->pids = SPEC_PIDS_DEFAULT;
	s->disk = whole_mib(s->disk);
	s->docker_disk = whole_mib(s->docker_disk);
}

/* An explicit 0 is a refusal, not a default. */
static int refuse_zero(json_t *j, struct err *err)
{
	static const char *const names[] = {
		"cpus", "memory", "disk", "docker_disk", "pids"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		json_t *v = json_object_get(j, names[i]);

		if (json_is_integer(v) && json_integer_value(v) == 0)
			return err_set(
				err, ERANGE, "'%s' must not be 0", names[i]);
	}
	return 0;
}

int spec_read(
	json_t *j, const struct host *host, struct spec *ret, struct err *err)
{
	_cleanup_(raw_done) struct raw raw = {0};
	int r;

	r = fields_read(j, spec_fields, ARRAY_SIZE(spec_fields), &raw, err);
	if (r == 0)
		r = refuse_zero(j, err);
	if (r == 0)
		r = read_workspaces(&raw.s, raw.workspaces, err);
	if (r == 0)
		r = read_env(&raw.s, raw.env, err);
	if (r == 0 && raw.publish)
		r = publish_read(
			raw.publish, &raw.s.publish, &raw.s.n_publish, err);
	if (r < 0)
		return r;
	fill_defaults(&raw.s, host);
	*ret = raw.s;
	raw.s = (struct spec){0};
	return 0;
}

json_t *spec_json(const struct spec *s)
{
	json_t *ws = json_array();

	for (size_t i = 0; i < s->n_workspaces; i++) {
		const struct workspace *w = &s->workspaces[i];

		json_array_append_new(ws,
			json_pack("{s:o, s:o, s:b}", "host", json_text(w->host),
				"guest", json_text(w->guest), "read_only",
				w->read_only));
	}
	return json_pack("{s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I,"
			 " s:b, s:O, s:I, s:I, s:I, s:b, s:o, s:s}",
		"name", s->name ? json_string(s->name) : json_null(),
		"template", s->template, "engine", s->engine, "workspaces", ws,
		"cpus", (json_int_t)s->cpus, "memory", (json_int_t)s->memory,
		"disk", (json_int_t)s->disk, "docker_disk",
		(json_int_t)s->docker_disk, "pids", (json_int_t)s->pids,
		"timeout_ms", (json_int_t)s->timeout_ms, "remove", s->remove,
		"env", s->env, "net_rate_up", (json_int_t)s->rate_up,
		"net_rate_down", (json_int_t)s->rate_down, "net_quota",
		(json_int_t)s->quota, "ask", s->ask, "publish",
		publish_json(s->publish, s->n_publish), "ssh_agent",
		s->ssh_agent ? s->ssh_agent : "");
}
