/* SPDX-License-Identifier: Apache-2.0 */
/* help - the command table as text: for people, for scdoc. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"
#include <stdio.h>

/* The --help that command_run() adds to each table. */
extern const struct opt opt_help;

void help_all(FILE *out);
/* Prints the help of one command to standard output; CLI_OK. */
int help_command(const struct command *cmd);
/* The section of one command for cove(1), in scdoc. */
void help_scdoc(const struct command *cmd, FILE *out);

#endif
