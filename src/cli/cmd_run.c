/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/execute.h"
#include "cli/find.h"
#include "cli/keys.h"
#include "cli/sandbox.h"
#include "cli/spec.h"
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define NAME_TRIES 8

static const struct opt opts[] = {
	SPEC_OPT("rm", 0, OPT_FLAG, remove, NULL,
		"a new sandbox, removed when the command ends", 0, 0, NULL),
	SPEC_OPT("detach", 'd', OPT_FLAG, detach, NULL,
		"do not wait; print the sandbox's id", 0, 0, NULL),
	SPEC_OPT("workdir", 'w', OPT_STR, workdir, "DIR",
		"start in this directory of the sandbox", 0, 0, NULL),
	SPEC_OPT("user", 'u', OPT_STR, user, "USER",
		"run as this user, user:group or uid; default agent", 0, 0,
		NULL),
	SPEC_OPT("tty", 't', OPT_FLAG, tty, NULL,
		"give the command a terminal; default if there is one", 0, 0,
		NULL),
	SPEC_OPT("interactive", 'i', OPT_FLAG, interactive, NULL,
		"pass standard input on; always done", 0, 0, NULL),
	SPEC_OPT("entrypoint", 0, OPT_STR, entrypoint, "PROGRAM",
		"instead of the image's own entry point; \"\" for none", 0, 0,
		NULL),
	SPEC_OPT("detach-keys", 0, OPT_STR, detach_keys, "KEYS",
		"leave with these keys; default ctrl-p,ctrl-q", 0, 0, NULL),
	SPEC_OPTIONS,
};

/* What happens to one invocation. */
struct job {
	const struct call *call;
	const struct run_opts *opts;
	struct spec spec;
	json_t *sandbox; /* found or created */
	bool created;
};

static int usage_error(const struct run_opts *o, struct err *err)
{
	struct keys keys;

	if (o->remove && o->detach)
		return err_set(err, EUSAGE,
			"--rm waits for the end of the "
			"command and -d does not: choose one");
	return o->detach_keys ? keys_parse(o->detach_keys, &keys, err) : 0;
}

static void tell_cwd(const struct spec *s)
{
	if (!s->implicit || s->cwd == CWD_SHARE)
		return;
	cli_note("this directory %s, so it is not shared; name a PATH to share "
		 "one",
		s->cwd == CWD_SYSTEM ? "belongs to every system"
				     : "holds Cove's own files");
}

static int create(struct job *j, const char *name, struct err *err)
{
	json_t *body = spec_json(&j->spec, j->opts, name);
	int r = sandbox_create(
		j->call->cli, body, j->opts->quiet, &j->sandbox, err);

	json_decref(body);
	j->created = r == 0;
	return r;
}

/* --rm never joins a sandbox: it would remove somebody's work at the end. */
static int create_throwaway(struct job *j, struct err *err)
{
	int r = -EEXIST;

	if (j->opts->name) {
		r = create(j, j->opts->name, err);
		if (r == -EEXIST)
			err_set(err, EEXIST,
				"sandbox '%s' exists, and --rm would remove it "
				"at the end; run without --rm, or with another "
				"--name",
				j->opts->name);
		return r;
	}
	for (int i = 0; r == -EEXIST && i < NAME_TRIES; i++) {
		_cleanup_free_ char *name = find_random_name(&j->spec);
		r = create(j, name, err);
	}
	return r;
}

/*
 * Two invocations may find nothing and create the same name: the one that comes
 * second looks again and finds the first one's sandbox.
 */
static int find_or_create(struct job *j, struct err *err)
{
	struct api api = {.cli = j->call->cli};
	int r = 0;

	for (int i = 0; i < NAME_TRIES; i++) {
		_cleanup_free_ char *name = NULL;
		r = find_sandbox(
			&api, &j->spec, j->opts, &j->sandbox, &name, err);
		if (r < 0 || j->sandbox)
			return r;
		r = create(j, name, err);
		if (r != -EEXIST)
			return r;
	}
	return r;
}

/* Takes body. */
static int change(
	struct job *j, const char *what, json_t *body, struct err *err)
{
	struct api api = {.cli = j->call->cli};
	_cleanup_free_ char *path =
		sandbox_path(jstr(j->sandbox, "id"), what, err);
	int r = -err->code;

	if (path)
		r = api_call(&api, "POST", path, body, NULL, err);
	json_decref(body);
	return r;
}

/* Ports can be added to what is there, and agents move. */
static int join(struct job *j, struct err *err)
{
	int r = 0;

	if (j->opts->publish.n)
		r = change(j, "/ports",
			json_pack("{s:O}", "publish", j->spec.publish), err);
	if (r == 0 && j->opts->ssh_agent)
		r = change(j, "/ssh-agent",
			json_pack("{s:s}", "path", getenv("SSH_AUTH_SOCK")),
			err);
	return r;
}

static int prepare(struct job *j, struct err *err)
{
	int r = j->opts->remove ? create_throwaway(j, err)
				: find_or_create(j, err);

	if (r == 0 && j->created)
		tell_cwd(&j->spec);
	else if (r == 0)
		r = join(j, err);
	return r;
}

static void add_all(char **v, size_t *n, const json_t *list)
{
	json_t *it;
	size_t i;

	json_array_foreach (list, i, it)
		if (json_is_string(it))
			v[(*n)++] = xstrdup(json_string_value(it));
}

/*
 * As container engines do: the image's entry point, then the command, or the
 * image's own. Heap, NULL-terminated; empty where a login shell is meant.
 */
static char **make_argv(struct job *j, size_t *ret_n)
{
	const char *own = j->opts->entrypoint;
	const json_t *c = json_object_get(j->sandbox, "image_config");
	const json_t *entry = own ? NULL : json_object_get(c, "entrypoint");
	const json_t *cmd = own ? NULL : json_object_get(c, "cmd");
	char **v = xcalloc((size_t)j->spec.argc + json_array_size(entry) +
			json_array_size(cmd) + 2,
		sizeof(*v));
	size_t n = 0;

	if (own && *own)
		v[n++] = xstrdup(own);
	add_all(v, &n, entry);
	for (int i = 0; i < j->spec.argc; i++)
		v[n++] = xstrdup(j->spec.argv[i]);
	if (!j->spec.argc)
		add_all(v, &n, cmd);
	*ret_n = n;
	return v;
}

static void argv_free(char ***v)
{
	for (size_t i = 0; (*v)[i]; i++)
		free((*v)[i]);
	free(*v);
}

static int execute_in(struct job *j)
{
	size_t argc;
	_cleanup_(argv_free) char **argv = make_argv(j, &argc);
	const struct run_opts *o = j->opts;
	bool tty = o->tty || (!o->detach && execute_on_terminal());
	uint32_t id;
	struct execution x = {.sandbox = jstr(j->sandbox, "id"),
		.shown = jstr(j->sandbox, "name"),
		.detach_keys = o->detach_keys,
		.quiet = o->quiet,
		.req = {.argv = argv,
			.argc = argc,
			.env = j->spec.env,
			.n_env = j->spec.n_env,
			.cwd = o->workdir,
			.user = o->user,
			.tty = tty,
			.stdin_open = !o->detach,
			.detached = o->detach}};

	return execute(j->call->cli, &x, &id);
}

/* -d: without a command the sandbox only has to be up. */
static int start_detached(struct job *j)
{
	struct err err = {0};
	int code = CLI_OK;

	if (j->spec.argc)
		code = execute_in(j);
	else if (!j->created &&
		sandbox_start(j->call->cli, jstr(j->sandbox, "id"),
			j->opts->quiet, &err) < 0)
		code = cli_fail(&err);
	if (code == CLI_OK && j->opts->json)
		text_json(j->sandbox);
	else if (code == CLI_OK)
		printf("%s\n", jstr(j->sandbox, "id"));
	return code;
}

/* The command's exit code stands; a removal that failed is told. */
static int remove_after(struct job *j, int code)
{
	struct api api = {.cli = j->call->cli, .no_start = true};
	struct err err = {0};
	int r = sandbox_remove(&api, jstr(j->sandbox, "id"), true, &err);

	if (r == 0 || r == -ENOENT)
		return code;
	err_wrap(&err, "could not remove '%s' (try: cove rm -f %s)",
		jstr(j->sandbox, "name"), jstr(j->sandbox, "name"));
	int failed = cli_fail(&err);
	return code ? code : failed;
}

static int run_job(struct job *j)
{
	struct err err = {0};
	int code;

	if (prepare(j, &err) < 0)
		return cli_fail(&err);
	code = j->opts->detach ? start_detached(j) : execute_in(j);
	if (j->opts->remove)
		code = remove_after(j, code);
	return code;
}

static int run(const struct call *call)
{
	struct job j = {.call = call, .opts = call->opts};
	struct err err = {0};
	int r = usage_error(j.opts, &err);

	if (r == 0 && cli_paths(call->cli, &err) < 0)
		return cli_fail(&err);
	const struct paths *p = &call->cli->paths;
	const char *const own[] = {p->run, p->state, p->cache, p->config, NULL};
	if (r == 0)
		r = spec_parse(call->opts, call->argc, call->argv,
			call->dashdash, own, &j.spec, &err);
	if (r < 0)
		return cli_refuse(call->cli, &err);
	r = run_job(&j);
	json_decref(j.sandbox);
	spec_done(&j.spec);
	return r;
}

const struct command cmd_run = {
	.name = "run",
	.args = "[TEMPLATE] [PATH[:ro]...] [-- CMD [ARG...]]",
	.help = "run a command in a sandbox, creating it if needed",
	.about =
		"Runs CMD in the sandbox of this directory and template, or in "
		"the one called --name; creates it when there is none, starts "
		"it when it is stopped. Without CMD a login shell is opened. "
		"The exit code is the command's own, or 128 and the number of "
		"the signal that ended it.\n\n"
		"TEMPLATE is a plain word (default shell). A path has a '/' or "
		"a '.'; each PATH appears in the sandbox under the same "
		"absolute path, live in both directions, or read-only with "
		":ro; the first is the working directory. Without a PATH the "
		"current directory is shared.\n\n"
		"The sandbox stays until it is removed; with --rm it is a new "
		"one that goes with the command. Ctrl-C reaches the command; "
		"without a terminal a second one within a second leaves it. "
		"The keys ctrl-p ctrl-q leave it running.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct run_opts),
	.max_args = -1,
	.complete = "dir",
	.run = run,
};
