/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prompt - yes or no, asked on the terminal. Never guesses: without a terminal
 * on both sides the question cannot be asked and that is an answer of its own.
 */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include "base/err.h"

/*
 * 0 for yes; -ECANCELED with text when the answer was no, or when there is no
 * terminal (then the text names `flag` as the way to go on).
 */
int prompt_yes(const char *question, const char *flag, struct err *err);

#endif
