/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands - the table of cove-image's subcommands and their options: the
 * parser, --help and the man page read it.
 */
#ifndef IMAGE_COMMANDS_H
#define IMAGE_COMMANDS_H

#include "base/opt.h"
#include "image/job.h"

struct command {
	const char *name;
	const char *operand; /* NULL: takes none */
	const char *help;
	const struct opt *opts;
	size_t n_opts;
	int (*run)(
		const struct job_opts *o, struct progress *p, struct err *err);
};

extern const struct command commands[];
extern const size_t n_commands;

#endif
