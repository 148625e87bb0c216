/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command - the one table from which the parser, --help, the man pages' option
 * lists and the completions come. A command is a file cmd_<name>.c that defines
 * one struct command; commands.c lists them in the order that help shows.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/opt.h"
#include "cli/cli.h"

/*
 * What a handler gets. Operands are argv[0..argc); dashdash is the index of
 * the first operand after "--", or -1 without one.
 */
struct call {
	struct cli *cli;
	const void *opts; /* the command's own options struct */
	int argc;
	char **argv;
	int dashdash;
};

struct command {
	const char *name;
	const char *args;  /* operands, as shown after the options */
	const char *help;  /* one line, without a full stop */
	const char *about; /* plain text for help and the man page */
	const struct opt *opts;
	size_t n_opts;
	size_t opts_size; /* of the options struct */
	bool stop_at_operand;
	int min_args; /* operands needed */
	int max_args; /* -1: any number */
	/* What operands are: "sandbox", "dir", "path", or a list of words. */
	const char *complete;
	int (*run)(const struct call *call); /* returns the exit code */
};

/* Every options struct begins with this, so that --help is in no table. */
struct no_opts {
	bool help;
};

extern const struct command *const commands[];
extern const size_t n_commands;

const struct command *command_find(const char *name);
/* The command whose name is closest to a mistyped one, or NULL. */
const struct command *command_guess(const char *name);
/* Parses argv after the command's name and runs it; the exit code. */
int command_run(
	struct cli *cli, const struct command *cmd, int argc, char **argv);

#endif
