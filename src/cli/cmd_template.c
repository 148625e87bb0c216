/* SPDX-License-Identifier: Apache-2.0 */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>

struct template_opts {
	bool help;
	bool json;
	bool quiet;
};

static const struct opt opts[] = {
	{"json", 0, OPT_FLAG, offsetof(struct template_opts, json), NULL,
		"print JSON", 0, 0, NULL},
	{"quiet", 'q', OPT_FLAG, offsetof(struct template_opts, quiet), NULL,
		"print names only", 0, 0, NULL},
};

static void print_table(const json_t *list)
{
	static const char *const heads[] = {
		"NAME", "SIZE", "CREATED", "DIGEST"};
	int64_t now = (int64_t)time(NULL);
	struct table t;
	const json_t *it;
	size_t i;

	table_init(&t, ARRAY_SIZE(heads));
	for (i = 0; i < ARRAY_SIZE(heads); i++)
		table_cell(&t, heads[i]);
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

static int run(const struct call *call)
{
	const struct template_opts *o = call->opts;

	if (!streq(call->argv[0], "ls"))
		return cli_usage(call->cli, "unknown action '%s'; there is: ls",
			call->argv[0]);
	if (o->json && o->quiet)
		return cli_usage(call->cli, "--json and -q: choose one");
	return list(call);
}

const struct command cmd_template = {
	.name = "template",
	.args = "ls",
	.help = "list the templates that sandboxes are made from",
	.about =
		"Lists the templates in the cache. The template shell is built "
		"when it is needed for the first time.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct template_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "ls",
	.run = run,
};
