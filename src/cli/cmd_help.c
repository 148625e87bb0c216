/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/help.h"

struct help_opts {
	bool help;
};

/* "cove help -- scdoc" is for the build: the commands section of cove(1). */
static int print_scdoc(void)
{
	for (size_t i = 0; i < n_commands; i++)
		help_scdoc(commands[i], stdout);
	return CLI_OK;
}

static int run(const struct call *call)
{
	if (call->argc == 0) {
		help_all(stdout);
		return CLI_OK;
	}
	if (call->dashdash == 0 && streq(call->argv[0], "scdoc"))
		return print_scdoc();
	const struct command *cmd = command_find(call->argv[0]);
	if (!cmd) {
		const struct command *near = command_guess(call->argv[0]);
		return near
			? cli_usage(call->cli,
				  "unknown command '%s'; did you mean '%s'?",
				  call->argv[0], near->name)
			: cli_usage(call->cli, "unknown command '%s'",
				  call->argv[0]);
	}
	return help_command(cmd);
}

const struct command cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.help = "show what a command does and its options",
	.about = "Shows the list of commands, or the usage and options of one.",
	.opts_size = sizeof(struct help_opts),
	.max_args = 1,
	.complete = "command",
	.run = run,
};
