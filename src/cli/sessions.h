/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions - the commands that run in a sandbox, as its agent lists them. The
 * list comes from a hostile guest: bounded in length, stripped when printed.
 */
#ifndef CLI_SESSIONS_H
#define CLI_SESSIONS_H

#include "cli/cli.h"
#include "wire/frame.h"
#include <jansson.h>

#define SESSIONS_LIST_MAX 1024

/* Prints the list; the exit code. */
int sessions_print(struct cli *cli, const char *sandbox, bool json);
/* One SESSION frame as {"id","pid","status","argv"}; NULL when malformed. */
json_t *sessions_parse(const struct frame *f);

#endif
