/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/help.h"
#include <errno.h>
#include <string.h>

/* In the order a person meets them. */
const struct command *const commands[] = {
	&cmd_run,
	&cmd_create,
	&cmd_exec,
	&cmd_ls,
	&cmd_inspect,
	&cmd_logs,
	&cmd_stop,
	&cmd_start,
	&cmd_rm,
	&cmd_prune,
	&cmd_cp,
	&cmd_ports,
	&cmd_secret,
	&cmd_docker,
	&cmd_docker_env,
	&cmd_policy,
	&cmd_template,
	&cmd_doctor,
	&cmd_daemon,
	&cmd_version,
	&cmd_help,
	&cmd_completion,
};
const size_t n_commands = ARRAY_SIZE(commands);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (streq(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* Edit distance of short words, with neighbours swapped counting one. */
static size_t distance(const char *a, const char *b)
{
	size_t row[3][33];
	size_t la = strlen(a), lb = strlen(b);

	if (la > 32 || lb > 32)
		return 33;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *cur = row[i % 3], *up = row[(i + 2) % 3];
		cur[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
			best = MIN(best, MIN(up[j], cur[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
				a[i - 2] == b[j - 1])
				best = MIN(best, row[(i + 1) % 3][j - 2] + 1);
			cur[j] = best;
		}
	}
	return row[la % 3][lb];
}

const struct command *command_guess(const char *name)
{
	const struct command *best = NULL;
	size_t best_distance = strlen(name) > 3 ? 3 : 2;

	for (size_t i = 0; i < n_commands; i++) {
		size_t d = distance(name, commands[i]->name);
		if (d < best_distance) {
			best = commands[i];
			best_distance = d;
		}
	}
	return best;
}

/* The command's own table plus --help, which all of them have. */
static struct opt *with_help(const struct command *cmd)
{
	struct opt *all = xcalloc(cmd->n_opts + 1, sizeof(*all));

	all[0] = opt_help;
	if (cmd->n_opts)
		memcpy(all + 1, cmd->opts, cmd->n_opts * sizeof(*all));
	return all;
}

static void opts_done(const struct command *cmd, void *opts)
{
	for (size_t i = 0; i < cmd->n_opts; i++)
		if (cmd->opts[i].type == OPT_STRS)
			opt_strs_done(
				(void *)((char *)opts + cmd->opts[i].offset));
}

static int check_and_call(const struct command *cmd, const struct call *call)
{
	const struct no_opts *common = call->opts;

	if (common->help)
		return help_command(cmd);
	if (call->argc < cmd->min_args)
		return cli_usage(call->cli, "needs %s", cmd->args);
	if (cmd->max_args >= 0 && call->argc > cmd->max_args) {
		if (cmd->max_args == 0)
			return cli_usage(call->cli, "takes no argument: '%s'",
				call->argv[0]);
		return cli_usage(call->cli, "one argument too many: '%s'",
			call->argv[cmd->max_args]);
	}
	return cmd->run(call);
}

int command_run(
	struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	_cleanup_free_ struct opt *table = with_help(cmd);
	_cleanup_free_ void *opts = xcalloc(1, cmd->opts_size);
	struct call call = {.cli = cli, .opts = opts, .argv = argv};
	struct err err = {0};

	cli->cmd = cmd;
	int r = opt_parse(table, cmd->n_opts + 1, opts, argc, argv,
		cmd->stop_at_operand, &call.argc, &call.dashdash, &err);
	r = r < 0 ? cli_usage(cli, "%s", err.text) : check_and_call(cmd, &call);
	opts_done(cmd, opts);
	return r;
}
