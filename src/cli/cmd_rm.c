/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/prompt.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>

struct rm_opts {
	bool help;
	bool all;
	bool force;
};

static const struct opt opts[] = {
	{"force", 'f', OPT_FLAG, offsetof(struct rm_opts, force), NULL,
		"do not ask, and remove running ones too", 0, 0, NULL},
	{"all", 'a', OPT_FLAG, offsetof(struct rm_opts, all), NULL,
		"remove all sandboxes of this user", 0, 0, NULL},
};

/* A running one is named as such: its processes end with it. */
static int ask(const struct api *api, const char *name, struct err *err)
{
	json_t *sb;
	int r = sandbox_get(api, name, &sb, err);

	if (r < 0)
		return r;
	const char *state = jstr(sb, "state");
	bool down = streq(state, "stopped") || streq(state, "failed");
	_cleanup_free_ char *question = xasprintf(
		"Remove sandbox '%s'%s%s%s and all files on its own disks?",
		jstr(sb, "name"), down ? "" : " (it is ", down ? "" : state,
		down ? "" : ")");
	json_decref(sb);
	return prompt_yes(question, "-f", err);
}

static int remove_one(
	const struct api *api, const char *name, bool force, struct err *err)
{
	int r = force ? 0 : ask(api, name, err);

	if (r < 0 && r == -ECANCELED)
		return err_wrap(err, "'%s'", name);
	if (r == 0)
		r = sandbox_remove(api, name, true, err);
	if (r == 0)
		printf("%s\n", name);
	return r;
}

static int remove_all(const struct call *call, const struct api *api)
{
	const struct rm_opts *o = call->opts;
	struct err err = {0};
	int code = CLI_OK;
	json_t *list;
	const json_t *it;
	size_t i;

	if (sandbox_list(api, &list, &err) < 0)
		return cli_fail(&err);
	if (json_array_size(list) && !o->force) {
		_cleanup_free_ char *question = xasprintf(
			"Remove all %zu sandboxes and all files on their own "
			"disks?",
			json_array_size(list));
		if (prompt_yes(question, "-f", &err) < 0) {
			json_decref(list);
			return cli_fail(&err);
		}
	}
	json_array_foreach (list, i, it)
		if (remove_one(api, jstr(it, "name"), true, &err) < 0)
			code = cli_fail(&err);
	json_decref(list);
	return code;
}

static int run(const struct call *call)
{
	const struct rm_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	int code = CLI_OK;

	if (o->all && call->argc)
		return cli_usage(call->cli, "--all and names: choose one");
	if (!o->all && !call->argc)
		return cli_usage(call->cli, "needs NAME... or --all");
	if (o->all)
		return remove_all(call, &api);
	for (int i = 0; i < call->argc; i++) {
		struct err err = {0};
		if (remove_one(&api, call->argv[i], o->force, &err) < 0)
			code = cli_fail(&err);
	}
	return code;
}

const struct command cmd_rm = {
	.name = "rm",
	.args = "NAME...|--all",
	.help = "remove sandboxes and their disks",
	.about =
		"Removes sandboxes: ends what runs in them and frees all their "
		"disk space. Shared paths of this host are never touched. "
		"Asks first; without a terminal to ask on, -f is needed.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct rm_opts),
	.max_args = -1,
	.complete = "sandbox",
	.run = run,
};
