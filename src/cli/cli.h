/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what every command shares: the context of this invocation, the exit
 * codes of docs (behaviour: 1 refused, 2 usage, 125 cove itself failed) and the
 * one way to say that something failed. Single-threaded; the context is owned
 * by main(). Text from coved or a guest is made harmless before it is printed.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/err.h"
#include "base/paths.h"
#include <errno.h>

enum cli_exit {
	CLI_OK = 0,
	CLI_REFUSED = 1,
	CLI_USAGE = 2,
	CLI_BROKEN = 125,
	CLI_NOT_EXECUTABLE = 126,
	CLI_NOT_FOUND = 127,
};

/* The errno of an err whose text is about the command line itself. */
#define EUSAGE EBADRQC

struct command;

struct cli {
	const struct command *cmd; /* the command that runs */
	struct paths paths;        /* valid after cli_paths() */
	bool have_paths;
};

/* Finds the user's directories once; 0 or -errno. */
int cli_paths(struct cli *cli, struct err *err);

/* 1 for what was refused, 125 for what broke; code is a positive errno. */
int cli_exit_of(int code);
/* "cove: <text>" on stderr; the exit code that belongs to err->code. */
int cli_fail(const struct err *err);
/* cli_usage() for EUSAGE, else cli_fail(). */
int cli_refuse(const struct cli *cli, const struct err *err);
/* "cove: <text>" on stderr, without a failure. */
void cli_note(const char *fmt, ...) _printf_(1, 2);
/* "cove CMD: <text>" and where to read more on stderr; CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) _printf_(2, 3);

#endif
