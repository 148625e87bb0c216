/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/complete.h"

static int run(const struct call *call)
{
	const char *shell = call->argv[0];

	if (streq(shell, "bash"))
		complete_bash(stdout);
	else if (streq(shell, "zsh"))
		complete_zsh(stdout);
	else if (streq(shell, "fish"))
		complete_fish(stdout);
	else
		return cli_usage(
			call->cli, "'%s' is not bash, zsh or fish", shell);
	return CLI_OK;
}

const struct command cmd_completion = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.help = "print a shell's completion script",
	.about = "Prints a completion script. Load it from the shell's start "
		 "file: bash: source <(cove completion bash); zsh: source "
		 "<(cove completion zsh) after compinit; fish: cove completion "
		 "fish | source.",
	.opts_size = sizeof(struct no_opts),
	.min_args = 1,
	.max_args = 1,
	.complete = "bash zsh fish",
	.run = run,
};
