/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/spec.h"
#include "cli/cli.h"
#include "cli/name.h"
#include "cli/network.h"
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void spec_done(struct spec *s)
{
	for (size_t i = 0; i < s->n_places; i++)
		workspace_done(&s->places[i]);
	free(s->places);
	env_free(s->env, s->n_env);
	json_decref(s->publish);
	*s = (struct spec){0};
}

/* A second plain word is a slip worth explaining. */
static int add_operand(
	struct spec *s, size_t index, const char *arg, struct err *err)
{
	if (workspace_is_path(arg)) {
		int r = workspace_parse(arg, &s->places[s->n_places], err);
		if (r < 0)
			return r;
		s->n_places++;
		s->n_paths++;
		return 0;
	}
	if (index > 0 || s->template)
		return err_set(err, EUSAGE,
			"'%.80s' is neither the template nor a path; write "
			"./%.80s for a directory, or put a command after --",
			arg, arg);
	if (*arg == '\0')
		return err_set(err, EUSAGE, "an empty template name");
	s->template = arg;
	return 0;
}

static int add_cwd(struct spec *s, const char *const *own, struct err *err)
{
	int r = workspace_cwd(own, &s->places[s->n_places], &s->cwd, err);

	if (r < 0)
		return r;
	s->implicit = true;
	if (s->cwd == CWD_SHARE) {
		s->n_places++;
		s->n_paths++;
	}
	return 0;
}

static int add_mounts(
	struct spec *s, const struct opt_strs *mounts, struct err *err)
{
	for (size_t i = 0; i < mounts->n; i++) {
		int r = workspace_mount(
			mounts->v[i], &s->places[s->n_places], err);
		if (r < 0)
			return err_wrap(err, "--mount");
		s->n_places++;
	}
	return 0;
}

static int check_twice(const struct spec *s, struct err *err)
{
	for (size_t i = 0; i < s->n_places; i++)
		for (size_t j = i + 1; j < s->n_places; j++)
			if (streq(s->places[i].guest, s->places[j].guest))
				return err_set(err, EINVAL,
					"two things would be at '%s'",
					s->places[i].guest);
	return 0;
}

/* JSON carries text, so a name that is not UTF-8 cannot be sent. */
static int check_text(const char *s, struct err *err)
{
	json_t *text = json_string(s);

	if (!text)
		return err_set(err, EINVAL, "'%s' is not valid UTF-8", s);
	json_decref(text);
	return 0;
}

static int check_texts(const struct spec *s, struct err *err)
{
	int r = s->template ? check_text(s->template, err) : 0;

	for (size_t i = 0; r == 0 && i < s->n_places; i++) {
		r = check_text(s->places[i].host, err);
		if (r == 0)
			r = check_text(s->places[i].guest, err);
	}
	for (size_t i = 0; r == 0 && i < s->n_env; i++)
		r = check_text(s->env[i], err);
	return r;
}

static int check_opts(const struct run_opts *opts, struct err *err)
{
	static const char *const engines[] = {"auto", "kvm", "qemu"};
	bool known = !opts->engine;

	for (size_t i = 0; !known && i < ARRAY_SIZE(engines); i++)
		known = streq(opts->engine, engines[i]);
	if (!known)
		return err_set(err, EUSAGE,
			"--engine: '%.40s' is not auto, kvm or qemu",
			opts->engine);
	if (opts->ssh_agent && !getenv("SSH_AUTH_SOCK"))
		return err_set(err, EINVAL,
			"--ssh-agent: SSH_AUTH_SOCK is not set; start an "
			"agent first: eval $(ssh-agent); ssh-add");
	return opts->name ? name_check(opts->name, err) : 0;
}

static int fill(struct spec *s, const struct run_opts *opts, int n_operands,
	char **argv, const char *const *own, struct err *err)
{
	int r = check_opts(opts, err);

	s->template = opts->template;
	for (int i = 0; r == 0 && i < n_operands; i++)
		r = add_operand(s, (size_t)i, argv[i], err);
	if (r == 0 && own && s->n_paths == 0)
		r = add_cwd(s, own, err);
	if (r == 0)
		r = add_mounts(s, &opts->mounts, err);
	if (r == 0)
		r = check_twice(s, err);
	if (r == 0)
		r = env_parse_all(&opts->env, &s->env, &s->n_env, err);
	if (r == 0)
		r = publish_parse_all(&opts->publish, &s->publish, err);
	if (r == 0 && opts->net_rate)
		r = rate_parse(opts->net_rate, &s->net_up, &s->net_down, err);
	return r == 0 ? check_texts(s, err) : r;
}

int spec_parse(const struct run_opts *opts, int argc, char **argv, int dashdash,
	const char *const *own, struct spec *ret, struct err *err)
{
	int n = dashdash < 0 ? argc : dashdash;
	struct spec s = {.argv = argv + n, .argc = argc - n};

	s.places = xcalloc((size_t)n + opts->mounts.n + 1, sizeof(*s.places));
	int r = fill(&s, opts, n, argv, own, err);
	if (r < 0) {
		spec_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

static void set_number(json_t *o, const char *key, uint64_t v)
{
	if (v)
		json_object_set_new(o, key, json_integer((json_int_t)v));
}

static void set_string(json_t *o, const char *key, const char *v)
{
	if (v)
		json_object_set_new(o, key, json_string(v));
}

static json_t *env_json(const struct spec *s)
{
	json_t *env = json_object();

	for (size_t i = 0; i < s->n_env; i++) {
		const char *eq = strchr(s->env[i], '=');
		_cleanup_free_ char *key =
			xstrndup(s->env[i], (size_t)(eq - s->env[i]));
		json_object_set_new(env, key, json_string(eq + 1));
	}
	return env;
}

static json_t *workspaces_json(const struct spec *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_places; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:b}", "host", s->places[i].host,
				"guest", s->places[i].guest, "read_only",
				s->places[i].ro));
	return list;
}

json_t *spec_json(
	const struct spec *s, const struct run_opts *opts, const char *name)
{
	json_t *o = json_object();

	set_string(o, "name", name);
	set_string(o, "template", s->template ? s->template : SPEC_TEMPLATE);
	json_object_set_new(o, "workspaces", workspaces_json(s));
	set_number(o, "cpus", opts->cpus);
	set_number(o, "memory", opts->memory);
	set_number(o, "disk", opts->disk);
	set_number(o, "docker_disk", opts->docker_disk);
	set_number(o, "pids", opts->pids);
	set_number(o, "timeout_ms", opts->timeout_ms);
	set_number(o, "net_rate_up", s->net_up);
	set_number(o, "net_rate_down", s->net_down);
	set_number(o, "net_quota", opts->net_quota);
	if (opts->ask)
		json_object_set_new(o, "ask", json_true());
	if (opts->ssh_agent)
		set_string(o, "ssh_agent", getenv("SSH_AUTH_SOCK"));
	if (opts->publish.n)
		json_object_set(o, "publish", s->publish);
	set_string(o, "engine", opts->engine);
	if (opts->remove)
		json_object_set_new(o, "remove", json_true());
	json_object_set_new(o, "env", env_json(s));
	return o;
}

static int differs(const json_t *sandbox, const char *what, struct err *err)
{
	return err_set(err, EEXIST,
		"sandbox '%s' exists with another %s; drop that option to use "
		"it as it is, choose another --name, or remove it: cove rm %s",
		jstr(sandbox, "name"), what, jstr(sandbox, "name"));
}

static int match_numbers(const struct spec *s, const struct run_opts *opts,
	const json_t *sandbox, struct err *err)
{
	const struct {
		const char *key;
		const char *what;
		uint64_t want;
	} all[] = {
		{"cpus", "number of CPUs", opts->cpus},
		{"memory", "memory size", opts->memory},
		{"disk", "disk size", opts->disk},
		{"docker_disk", "Docker disk size", opts->docker_disk},
		{"pids", "limit of processes", opts->pids},
		{"timeout_ms", "time limit", opts->timeout_ms},
		{"net_rate_up", "network rate", s->net_up},
		{"net_rate_down", "network rate", s->net_down},
		{"net_quota", "network quota", opts->net_quota},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].want && all[i].want != ju64(sandbox, all[i].key))
			return differs(sandbox, all[i].what, err);
	return 0;
}

static bool has_place(const json_t *list, const struct workspace *w)
{
	const json_t *it;
	size_t i;

	json_array_foreach (list, i, it)
		if (streq(jstr(it, "host"), w->host) &&
			streq(jstr(it, "guest"), w->guest) &&
			json_is_true(json_object_get(it, "read_only")) == w->ro)
			return true;
	return false;
}

int spec_match(const struct spec *s, const struct run_opts *opts,
	const json_t *sandbox, struct err *err)
{
	const json_t *list = json_object_get(sandbox, "workspaces");
	const char *has = jstr(sandbox, "template");

	if (s->template && !streq(s->template, has))
		return err_set(err, EEXIST,
			"sandbox '%s' was made from template '%s', not '%s'; "
			"choose another --name, or remove it: cove rm %s",
			jstr(sandbox, "name"), has, s->template,
			jstr(sandbox, "name"));
	/* With --name the current directory was never asked for. */
	for (size_t i = s->implicit ? s->n_paths : 0; i < s->n_places; i++)
		if (!has_place(list, &s->places[i]))
			return err_set(err, EEXIST,
				"sandbox '%s' does not share '%s' that way, "
				"and shares cannot change; choose another "
				"--name, or remove it: cove rm %s",
				jstr(sandbox, "name"), s->places[i].host,
				jstr(sandbox, "name"));
	if (opts->ssh_agent && !*jstr(sandbox, "ssh_agent"))
		return err_set(err, EEXIST,
			"sandbox '%s' was made without --ssh-agent; choose "
			"another --name, or remove it: cove rm %s",
			jstr(sandbox, "name"), jstr(sandbox, "name"));
	return match_numbers(s, opts, sandbox, err);
}
