/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/sandbox.h"
#include "cli/spec.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>

static const struct opt opts[] = {
	SPEC_OPTIONS,
	SPEC_OPT("json", 0, OPT_FLAG, json, NULL,
		"print the sandbox as JSON instead of its name", 0, 0, NULL),
};

static int create(const struct call *call, const struct spec *spec)
{
	const struct run_opts *o = call->opts;
	json_t *body = spec_json(spec, o, o->name);
	json_t *sb = NULL;
	struct err err = {0};

	int r = sandbox_create(call->cli, body, o->quiet, &sb, &err);
	json_decref(body);
	if (r < 0)
		return cli_fail(&err);
	if (o->json)
		text_json(sb);
	else
		printf("%s\n", jstr(sb, "name"));
	json_decref(sb);
	return CLI_OK;
}

static int run(const struct call *call)
{
	struct spec spec;
	struct err err = {0};
	int r = spec_parse(call->opts, call->argc, call->argv, call->dashdash,
		NULL, &spec, &err);

	if (r < 0)
		return cli_refuse(call->cli, &err);
	if (spec.argc)
		r = cli_usage(call->cli,
			"starts no command ('%s'); use: cove "
			"run, or cove exec afterwards",
			spec.argv[0]);
	else
		r = create(call, &spec);
	spec_done(&spec);
	return r;
}

const struct command cmd_create = {
	.name = "create",
	.args = "[TEMPLATE] [PATH[:ro]...]",
	.help = "create and start a sandbox without entering it",
	.about =
		"Creates a sandbox from TEMPLATE (default shell), starts it, "
		"and prints its name. Each PATH appears in it under the same "
		"absolute path; the first is its working directory. A path has "
		"a '/' or a '.', a template has neither. Without a PATH the "
		"sandbox sees no files of this host.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct run_opts),
	.max_args = -1,
	.complete = "dir",
	.run = run,
};
