/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy - the parts of `cove policy` that talk for longer: the log as it
 * grows, whether it is whole, questions of sandboxes and their answers.
 * Targets were chosen by a guest: nothing of them reaches the terminal raw.
 */
#ifndef CLI_POLICY_H
#define CLI_POLICY_H

#include "cli/cli.h"
#include <jansson.h>

/* Percent-encodes for a query; heap. */
char *policy_encode(const char *s);
/* path, and the sandbox as a parameter after sep if there is one; heap. */
char *policy_scoped(const char *path, const char *sandbox, char sep);

int policy_follow(struct cli *cli, const char *sandbox, bool json);
/* 1 when a log was changed. */
int policy_verify(struct cli *cli, const char *sandbox, bool json);

void policy_print_pending(const json_t *answer);
int policy_answer(struct cli *cli, const char *sandbox, const char *what,
	bool allow, const char *how, struct err *err);
/* Asks on the terminal until it is interrupted. */
int policy_ask_person(struct cli *cli, const char *sandbox);

#endif
