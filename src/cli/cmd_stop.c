/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/sandbox.h"
#include <errno.h>
#include <stdio.h>

#define STOP_DEFAULT_MS 10000u
#define STOP_MAX_MS (24ull * 3600 * 1000)

struct stop_opts {
	bool help;
	uint64_t timeout_ms;
};

static const struct opt opts[] = {
	{"timeout", 't', OPT_DURATION, offsetof(struct stop_opts, timeout_ms),
		"DURATION", "time to end by itself; default 10s", 1,
		STOP_MAX_MS, NULL},
};

static int run(const struct call *call)
{
	const struct stop_opts *o = call->opts;
	struct api api = {.cli = call->cli};
	int code = CLI_OK;

	for (int i = 0; i < call->argc; i++) {
		struct err err = {0};
		int r = sandbox_stop(&api, call->argv[i],
			o->timeout_ms ? o->timeout_ms : STOP_DEFAULT_MS, &err);
		if (r < 0)
			code = cli_fail(&err);
		else
			printf("%s\n", call->argv[i]);
	}
	return code;
}

const struct command cmd_stop = {
	.name = "stop",
	.args = "NAME...",
	.help = "stop sandboxes; their files stay",
	.about = "Asks every process in the sandbox to end (SIGTERM), waits, "
		 "then ends the rest and powers off. Its disks stay: the next "
		 "exec, run or start brings it back without its processes.",
	.opts = opts,
	.n_opts = ARRAY_SIZE(opts),
	.opts_size = sizeof(struct stop_opts),
	.min_args = 1,
	.max_args = -1,
	.complete = "sandbox",
	.run = run,
};
