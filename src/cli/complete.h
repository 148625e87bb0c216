/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete - completion scripts from the command table. They complete commands,
 * options, their values, sandbox names (asked from coved, never starting it)
 * and paths.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include <stdio.h>

void complete_bash(FILE *out);
void complete_zsh(FILE *out);
void complete_fish(FILE *out);

#endif
