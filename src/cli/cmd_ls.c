/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/commands.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct ls_opts {
	bool help;
	bool json;
	bool quiet;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct ls_opts, json), NULL,
		"print JSON", 0, 0, NULL},
	{"quiet", 'q', OPT_FLAG, offsetof(struct ls_opts, quiet), NULL,
		"print names only", 0, 0, NULL},
};

/* "~/project (+1)": the first workspace, and how many more there are. */
static char *workspace_cell(const json_t *sb)
{
	const json_t *list = json_object_get(sb, "workspaces");
	size_t n = json_array_size(list);
	const char *path = jstr(json_array_get(list, 0), "host");
	const char *home = getenv("HOME");
	size_t len = home ? strlen(home) : 0;
	const char *tilde = "";

	if (n == 0)
		return xstrdup("-");
	if (len > 1 && strncmp(path, home, len) == 0 && path[len] == '/') {
		tilde = "~";
		path += len;
	}
	if (n == 1)
		return xasprintf("%s%s", tilde, path);
	return xasprintf("%s%s (+%zu)", tilde, path, n - 1);
}

static void add_row(struct table *t, const json_t *sb, int64_t now)
{
	const json_t *engine = json_object_get(sb, "engine");
	const char *accel = jstr(engine, "accel");
	char memory[32];
	_cleanup_free_ char *cpus = xasprintf("%" PRIu64, ju64(sb, "cpus"));
	_cleanup_free_ char *created = text_ago(jstr(sb, "created"), now);
	_cleanup_free_ char *where = workspace_cell(sb);
	_cleanup_free_ char *how = xasprintf(
		"%s%s%s", jstr(engine, "name"), *accel ? "/" : "", accel);

	table_cell(t, jstr(sb, "name"));
	table_cell(t, jstr(sb, "state"));
	table_cell(t, jstr(sb, "template"));
	table_cell(t, how);
	table_cell(t, cpus);
	table_cell(t, format_size(ju64(sb, "memory"), memory, sizeof(memory)));
	table_cell(t, where);
	table_cell(t, created);
}

static void print_table(const json_t *list)
{
	static const char *const heads[] = {"NAME", "STATE", "TEMPLATE",
		"ENGINE", "CPUS", "MEMORY", "WORKSPACE", "CREATED"};
	int64_t now = (int64_t)time(NULL);
	struct table t;
	const json_t *it;
	size_t i;

	table_heads(&t, heads, ARRAY_SIZE(heads));
	json_array_foreach (list, i, it)
		add_row(&t, it, now);
	table_print(&t);
	table_done(&t);
}

static void print_names(const json_t *list)
{
	const json_t *it;
	size_t i;

	json_array_foreach (list, i, it)
		printf("%s\n", jstr(it, "name"));
}

static int run(const struct call *call)
{
	const struct ls_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	struct err err = {0};
	json_t *list;

	if (o->json && o->quiet)
		return cli_usage(call->cli, "--json and -q: choose one");
	if (sandbox_list(&api, &list, &err) < 0)
		return cli_fail(&err);
	if (o->json) {
		json_t *all = json_pack("{s:O}", "sandboxes", list);
		text_json(all);
		json_decref(all);
	} else if (o->quiet) {
		print_names(list);
	} else {
		print_table(list);
	}
	json_decref(list);
	return CLI_OK;
}

const struct command cmd_ls = {
	.name = "ls",
	.args = "",
	.help = "list the sandboxes",
	.about = "Lists all sandboxes of this user with their state: creating, "
		 "starting, running, paused, stopping, stopped, failed, or "
		 "unresponsive when the guest does not answer.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct ls_opts),
	.run = run,
};
