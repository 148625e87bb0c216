/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/policy.h"
#include "cli/secret.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

static const struct opt opts[] = {
	{"sandbox", 's', OPT_STR, offsetof(struct secret_opts, sandbox), "NAME",
		"only this sandbox, not all", 0, 0, "sandbox"},
	{"env", 'e', OPT_STR, offsetof(struct secret_opts, env), "VAR",
		"set: read it from here; set-custom: the guest's name", 0, 0,
		NULL},
	{"host", 0, OPT_STR, offsetof(struct secret_opts, hosts), "HOST,...",
		"set-custom: where it may go", 0, 0, NULL},
	{"header", 0, OPT_STR, offsetof(struct secret_opts, header), "NAME",
		"set-custom: only in this field", 0, 0, NULL},
	{"placeholder", 0, OPT_STR, offsetof(struct secret_opts, placeholder),
		"TEXT", "set-custom: what the guest sees", 0, 0, NULL},
	{"from", 0, OPT_STR, offsetof(struct secret_opts, from), "FILE",
		"import: read this .env file, not the environment", 0, 0,
		"file"},
	{"all", 0, OPT_FLAG, offsetof(struct secret_opts, all), NULL,
		"import: everything that is found, without asking", 0, 0, NULL},
	{"force", 'f', OPT_FLAG, offsetof(struct secret_opts, force), NULL,
		"import: replace what is set already", 0, 0, NULL},
	{"dry-run", 0, OPT_FLAG, offsetof(struct secret_opts, dry_run), NULL,
		"import: only say what would be set", 0, 0, NULL},
	{"services", 0, OPT_FLAG, offsetof(struct secret_opts, services), NULL,
		"ls: the services that are known", 0, 0, NULL},
	{"quiet", 'q', OPT_FLAG, offsetof(struct secret_opts, quiet), NULL,
		"print names only", 0, 0, NULL},
	{"json", 0, OPT_FLAG, offsetof(struct secret_opts, json), NULL,
		"print JSON", 0, 0, NULL},
};

/* ---- the value ---- */

static void echo(bool on)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &t) < 0)
		return;
	if (on)
		t.c_lflag |= ECHO;
	else
		t.c_lflag &= ~(tcflag_t)ECHO;
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &t);
}

/* A line, or all of a pipe; without the line break at its end. */
static int read_value(const char *name, char **ret, struct err *err)
{
	bool person = isatty(STDIN_FILENO);
	char *value = xcalloc(SECRET_VALUE_MAX + 2, 1);
	size_t n = 0;
	ssize_t got = 1;

	if (person) {
		fprintf(stderr, "Value of %s: ", name);
		echo(false);
	}
	while (n <= SECRET_VALUE_MAX && got > 0) {
		got = read(STDIN_FILENO, value + n, SECRET_VALUE_MAX + 1 - n);
		n += got > 0 ? (size_t)got : 0;
		if (person && n > 0 && value[n - 1] == '\n')
			break;
	}
	if (person) {
		echo(true);
		fputc('\n', stderr);
	}
	while (n > 0 && (value[n - 1] == '\n' || value[n - 1] == '\r'))
		value[--n] = '\0';
	if (n > 0 && n <= SECRET_VALUE_MAX) {
		*ret = value;
		return 0;
	}
	explicit_bzero(value, SECRET_VALUE_MAX + 2);
	free(value);
	return n ? err_set(err, E2BIG, "a secret has at most %u bytes",
			   SECRET_VALUE_MAX)
		 : err_set(err, EINVAL,
			   "no value: type it, pipe it in, or name a variable "
			   "with --env");
}

static int value_of(const struct secret_opts *o, bool custom, const char *name,
	char **ret, struct err *err)
{
	const char *v;

	if (custom || !o->env)
		return read_value(name, ret, err);
	v = getenv(o->env);
	if (!v || !*v)
		return err_set(
			err, EINVAL, "the variable %s is not set", o->env);
	*ret = xstrdup(v);
	return 0;
}

/* ---- set ---- */

static json_t *split(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t n = strcspn(text, ",");

		if (n)
			json_array_append_new(list, json_stringn(text, n));
		text += n + (text[n] == ',');
	}
	return list;
}

int secret_body(const struct secret_opts *o, const char *name,
	const char *value, json_t **ret, struct err *err)
{
	json_t *body = json_pack("{s:s, s:s}", "name", name, "value", value);

	if (!body)
		return err_set(err, EINVAL, "a secret must be UTF-8 text");
	if (o->sandbox)
		json_object_set_new(body, "sandbox", json_string(o->sandbox));
	*ret = body;
	return 0;
}

static int put(
	const struct call *call, const char *name, bool custom, struct err *err)
{
	const struct secret_opts *o = call->opts;
	const struct api api = {.cli = call->cli};
	json_t *body = NULL, *answer = NULL;
	char *value = NULL;
	int r = value_of(o, custom, name, &value, err);

	if (r < 0)
		return r;
	r = secret_body(o, name, value, &body, err);
	explicit_bzero(value, strlen(value));
	free(value);
	if (r < 0)
		return r;
	if (custom) {
		json_object_set_new(body, "hosts", split(o->hosts));
		json_object_set_new(body, "env", split(o->env));
	}
	if (custom && o->header)
		json_object_set_new(body, "header", json_string(o->header));
	if (custom && o->placeholder)
		json_object_set_new(
			body, "placeholder", json_string(o->placeholder));
	r = api_call(&api, "POST", "/v1/secrets", body, &answer, err);
	json_decref(body);
	if (r < 0)
		return r;
	if (o->json)
		text_json(answer);
	else
		printf("%s is set; in the guest it is %s\n", name,
			jstr(answer, "placeholder"));
	json_decref(answer);
	return 0;
}

/* A name for what has none: the variable's. */
static char *name_from(const char *env)
{
	char *s = xstrdup(env);

	for (char *c = s; *c; c++)
		*c = *c >= 'A' && *c <= 'Z'      ? (char)(*c + 32)
			: *c == '_' || *c == ',' ? '-'
						 : *c;
	return s;
}

static int set_custom(const struct call *call, struct err *err)
{
	const struct secret_opts *o = call->opts;
	_cleanup_free_ char *name = NULL;

	if (!o->hosts || !o->env)
		return err_set(err, EINVAL,
			"set-custom needs --host HOST and --env VAR");
	name = call->argc > 1 ? xstrdup(call->argv[1]) : name_from(o->env);
	return put(call, name, true, err);
}

/* ---- list and remove ---- */

static char *joined(const json_t *list)
{
	char *s = xstrdup("");
	const json_t *it;
	size_t i;

	json_array_foreach (list, i, it) {
		char *more = xasprintf("%s%s%s", s, *s ? " " : "",
			json_string_value(it) ? json_string_value(it) : "");

		free(s);
		s = more;
	}
	return s;
}

static void print_list(const json_t *list, bool services)
{
	static const char *const heads[] = {
		"NAME", "TYPE", "SANDBOX", "VARIABLES", "HOSTS"};
	const json_t *it;
	struct table t;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (list, i, it) {
		_cleanup_free_ char *env = joined(json_object_get(it, "env"));
		_cleanup_free_ char *hosts =
			joined(json_object_get(it, "hosts"));
		const char *sandbox = jstr(it, "sandbox");

		table_cell(&t, jstr(it, "name"));
		table_cell(&t, services ? "known" : jstr(it, "type"));
		table_cell(&t, *sandbox ? sandbox : "all");
		table_cell(&t, env);
		table_cell(&t, hosts);
	}
	table_print(&t);
	table_done(&t);
}

static int list(const struct call *call, struct err *err)
{
	const struct secret_opts *o = call->opts;
	const struct api api = {.cli = call->cli};
	_cleanup_free_ char *path = o->services
		? xstrdup("/v1/services")
		: policy_scoped("/v1/secrets", o->sandbox, '?');
	json_t *answer = NULL, *it;
	const json_t *all;
	size_t i;
	int r = api_get(&api, path, &answer, err);

	if (r < 0)
		return r;
	all = json_object_get(answer, o->services ? "services" : "secrets");
	if (o->json) {
		text_json(answer);
	} else if (o->quiet) {
		json_array_foreach (all, i, it)
			puts(jstr(it, "name"));
	} else {
		print_list(all, o->services);
	}
	json_decref(answer);
	return 0;
}

static int drop(const struct call *call, const char *name, struct err *err)
{
	const struct secret_opts *o = call->opts;
	const struct api api = {.cli = call->cli};
	_cleanup_free_ char *safe = policy_encode(name);
	_cleanup_free_ char *bare = xasprintf("/v1/secrets/%s", safe);
	_cleanup_free_ char *path = policy_scoped(bare, o->sandbox, '?');

	return api_call(&api, "DELETE", path, NULL, NULL, err);
}

static int run(const struct call *call)
{
	const char *verb = call->argv[0];
	struct err err = {0};
	int r = -EINVAL;

	if (streq(verb, "ls") && call->argc == 1) {
		r = list(call, &err);
	} else if (streq(verb, "set-custom") && call->argc <= 2) {
		r = set_custom(call, &err);
	} else if (streq(verb, "set") && call->argc == 2) {
		r = put(call, call->argv[1], false, &err);
	} else if (streq(verb, "import")) {
		r = secret_import(call, &err);
	} else if (streq(verb, "rm") && call->argc > 1) {
		r = 0;
		for (int i = 1; i < call->argc && r == 0; i++)
			r = drop(call, call->argv[i], &err);
	} else {
		return cli_usage(call->cli,
			"secret set SERVICE, set-custom [NAME], import "
			"[SERVICE...], ls, or rm NAME...");
	}
	return r < 0 ? cli_refuse(call->cli, &err) : CLI_OK;
}

const struct command cmd_secret = {
	.name = "secret",
	.args = "set|set-custom|import|ls|rm [NAME...]",
	.help = "keep keys and tokens out of sandboxes that use them",
	.about = "The guest's variable holds a placeholder; the gate puts the "
		 "secret in its place, in requests to the service's hosts "
		 "only. set reads the value from the terminal, a pipe or "
		 "--env VAR; import takes what known services have in the "
		 "environment or in a .env file. See docs/secrets.md.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct secret_opts),
	.min_args = 1,
	.max_args = -1,
	.complete = "set set-custom import ls rm",
	.run = run,
};
