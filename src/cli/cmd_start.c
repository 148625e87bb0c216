/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/sandbox.h"
#include <stdio.h>

struct start_opts {
	bool help;
	bool quiet;
};

static const struct opt opts[] = {
	{"quiet", 'q', OPT_FLAG, offsetof(struct start_opts, quiet), NULL,
		"show no progress", 0, 0, NULL},
};

static int run(const struct call *call)
{
	const struct start_opts *o = call->opts;
	int code = CLI_OK;

	for (int i = 0; i < call->argc; i++) {
		struct err err = {0};
		if (sandbox_start(call->cli, call->argv[i], o->quiet, &err) < 0)
			code = cli_fail(&err);
		else
			printf("%s\n", call->argv[i]);
	}
	return code;
}

const struct command cmd_start = {
	.name = "start",
	.args = "NAME...",
	.help = "start stopped sandboxes",
	.about = "Starts sandboxes that are stopped or failed and waits until "
		 "they are ready. One that runs already is left alone.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct start_opts),
	.min_args = 1,
	.max_args = -1,
	.complete = "sandbox",
	.run = run,
};
