/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/template.h"
#include "cli/text.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct template_opts, json), NULL,
		"print JSON", 0, 0, NULL},
	{"quiet", 'q', OPT_FLAG, offsetof(struct template_opts, quiet), NULL,
		"ls: names only; else no progress", 0, 0, NULL},
	{"output", 'o', OPT_STR, offsetof(struct template_opts, output), "FILE",
		"save: write the template to this file", 0, 0, "file"},
	{"file", 'f', OPT_STR, offsetof(struct template_opts, file), "FILE",
		"build: the Dockerfile, below DIR; default Dockerfile", 0, 0,
		"file"},
	{"image", 0, OPT_STR, offsetof(struct template_opts, image), "IMAGE",
		"import: which one, if the archive has several", 0, 0, NULL},
	{"user", 'u', OPT_STR, offsetof(struct template_opts, user), "USER",
		"login: the user; the password is read from standard input", 0,
		0, NULL},
	{"root", 0, OPT_FLAG, offsetof(struct template_opts, root), NULL,
		"import: FILE is a root file system, not an image", 0, 0, NULL},
	{"skip-devices", 0, OPT_FLAG,
		offsetof(struct template_opts, skip_devices), NULL,
		"import, pull: leave device nodes out, do not refuse them", 0,
		0, NULL},
};

static void print_table(const json_t *list)
{
	static const char *const heads[] = {
		"NAME", "SIZE", "CREATED", "DIGEST"};
	int64_t now = (int64_t)time(NULL);
	struct table t;
	const json_t *it;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (list, i, it) {
		char size[32];
		_cleanup_free_ char *ago = text_ago(jstr(it, "created"), now);
		table_cell(&t, jstr(it, "name"));
		table_cell(
			&t, format_size(ju64(it, "size"), size, sizeof(size)));
		table_cell(&t, ago);
		table_cell(&t, jstr(it, "digest"));
	}
	table_print(&t);
	table_done(&t);
}

static int list(const struct call *call)
{
	const struct template_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	struct err err = {0};
	json_t *answer;
	const json_t *it;
	size_t i;

	if (api_get(&api, "/v1/templates", &answer, &err) < 0)
		return cli_fail(&err);
	json_t *all = json_object_get(answer, "templates");
	if (o->json)
		text_json(answer);
	else if (!o->quiet)
		print_table(all);
	else
		json_array_foreach (all, i, it)
			printf("%s\n", jstr(it, "name"));
	json_decref(answer);
	return CLI_OK;
}

static void print_line(const char *head, const char *text)
{
	_cleanup_free_ char *safe = text_safe(text);

	if (*safe)
		printf("%-12s %s\n", head, safe);
}

static void print_words(const char *head, const json_t *list)
{
	const json_t *it;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	printf("%-12s", head);
	json_array_foreach (list, i, it) {
		_cleanup_free_ char *word = text_shell(
			json_is_string(it) ? json_string_value(it) : "");
		_cleanup_free_ char *safe = text_safe(word);
		printf(" %s", safe);
	}
	printf("\n");
}

static void print_detail(const json_t *t)
{
	static const char *const texts[] = {"digest", "created", "builder",
		"origin", "tag", "architecture", "user", "workdir"};
	const json_t *config = json_object_get(t, "config"), *it;
	char size[32];
	size_t i;

	print_line("name", jstr(t, "name"));
	print_line("size", format_size(ju64(t, "size"), size, sizeof(size)));
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		print_line(texts[i], jstr(t, texts[i]));
	print_words("entrypoint", json_object_get(config, "entrypoint"));
	print_words("cmd", json_object_get(config, "cmd"));
	print_words("sandboxes", json_object_get(t, "sandboxes"));
	json_array_foreach (json_object_get(t, "history"), i, it)
		print_line(i ? "" : "history",
			json_is_string(it) ? json_string_value(it) : "");
}

static int inspect(const struct call *call)
{
	const struct template_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	struct err err = {0};
	_cleanup_free_ char *path = template_path(call->argv[1], "", &err);
	json_t *answer;

	if (!path || api_get(&api, path, &answer, &err) < 0)
		return cli_fail(&err);
	if (o->json)
		text_json(answer);
	else
		print_detail(answer);
	json_decref(answer);
	return CLI_OK;
}

static int remove_one(
	const struct call *call, const char *name, struct err *err)
{
	const struct template_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	_cleanup_free_ char *path = template_path(name, "", err);
	json_t *answer = NULL;
	char size[32];
	int r = path ? api_call(&api, "DELETE", path, NULL, &answer, err)
		     : -EINVAL;

	if (r < 0)
		return r;
	if (o->json)
		text_json(answer);
	else if (json_array_size(json_object_get(answer, "sandboxes")) > 0)
		printf("removed %s; its image goes with the last sandbox that "
		       "uses it\n",
			name);
	else
		printf("removed %s, freed %s\n", name,
			format_size(ju64(answer, "bytes"), size, sizeof(size)));
	json_decref(answer);
	return 0;
}

static int remove_all(const struct call *call)
{
	int code = CLI_OK;

	for (int i = 1; i < call->argc; i++) {
		struct err err = {0};

		if (remove_one(call, call->argv[i], &err) < 0)
			code = cli_fail(&err);
	}
	return code;
}

/* coved has another working directory. */
static char *absolute(const char *path, struct err *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);

	if (!real) {
		err_sys(err, errno, "%s", path);
		return NULL;
	}
	return TAKE_PTR(real);
}

static int import_file(const struct call *call, const char *from)
{
	struct err err = {0};
	_cleanup_free_ char *path = absolute(call->argv[1], &err);
	_cleanup_free_ char *name = call->argc > 2
		? xstrdup(call->argv[2])
		: template_name_of(call->argv[1]);

	if (!path)
		return cli_fail(&err);
	return template_make(call, from, path, name);
}

static int import_archive(const struct call *call)
{
	return import_file(call, "archive");
}

static int load(const struct call *call)
{
	return import_file(call, "template");
}

static int pull(const struct call *call)
{
	_cleanup_free_ char *name = call->argc > 2
		? xstrdup(call->argv[2])
		: template_name_of_image(call->argv[1]);

	return template_make(call, "registry", call->argv[1], name);
}

static const struct action {
	const char *name;
	const char *args;
	int min, max; /* operands after the action's name; -1 any */
	int (*run)(const struct call *call);
} actions[] = {
	{"ls", "", 0, 0, list},
	{"inspect", "NAME", 1, 1, inspect},
	{"rm", "NAME...", 1, -1, remove_all},
	{"import", "FILE [NAME]", 1, 2, import_archive},
	{"pull", "IMAGE [NAME]", 1, 2, pull},
	{"login", "REGISTRY", 1, 1, template_login},
	{"logout", "REGISTRY", 1, 1, template_logout},
	{"load", "FILE [NAME]", 1, 2, load},
	{"save", "SANDBOX NAME, or -o FILE NAME", 1, 2, template_save},
	{"build", "DIR [NAME]", 1, 2, template_build},
};

static int run(const struct call *call)
{
	const struct template_opts *o = call->opts;
	const struct action *a = NULL;
	int n = call->argc - 1;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (streq(actions[i].name, call->argv[0]))
			a = &actions[i];
	if (!a)
		return cli_usage(call->cli,
			"unknown action '%s'; see: cove template --help",
			call->argv[0]);
	if (n < a->min || (a->max >= 0 && n > a->max))
		return cli_usage(call->cli, "template %s takes %s", a->name,
			*a->args ? a->args : "no argument");
	if (o->json && o->quiet)
		return cli_usage(call->cli, "--json and -q: choose one");
	return a->run(call);
}

const struct command cmd_template = {
	.name = "template",
	.args = "ACTION [ARGUMENT...]",
	.help = "make and manage what sandboxes are made from",
	.about =
		"ls lists the templates, inspect NAME tells about one, rm "
		"NAME... removes them; a sandbox keeps what it was made "
		"from.\n\n"
		"import FILE [NAME] makes one from an archive of docker save, "
		"an OCI image layout (a directory or an archive of it), or a "
		"root file system as tar; all may be compressed. The image's "
		"environment, user, working directory, entry point and command "
		"hold in its sandboxes.\n\n"
		"pull IMAGE [NAME] takes one from a registry: "
		"[REGISTRY/]NAME[:TAG][@sha256:DIGEST], docker.io without "
		"REGISTRY. login REGISTRY stores a user and a password for a "
		"private one, logout forgets them.\n\n"
		"build DIR [NAME] builds DIR's Dockerfile with the Docker of a "
		"throw-away sandbox that cannot write to DIR.\n\n"
		"save SANDBOX NAME keeps what is on the file system of a "
		"sandbox: not its shares, not Docker's store, not what runs. "
		"save -o FILE NAME writes a template to a file, load FILE "
		"[NAME] reads it on another host.\n\n"
		"The template shell is built from Debian packages when it is "
		"needed for the first time.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct template_opts),
	.min_args = 1,
	.max_args = -1,
	.complete = "ls inspect rm import pull build save load login logout",
	.run = run,
};
