/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dotenv - the variables of a .env file: KEY=VALUE a line, "export " before it,
 * '#' comments, values bare, in single or in double quotes (with \n, \", \\ and
 * \$). Nothing is expanded. The file is the person's own, perhaps out of a
 * stranger's repository: bounded, and refused with the line that is wrong.
 */
#ifndef CLI_DOTENV_H
#define CLI_DOTENV_H

#include "base/err.h"

#define DOTENV_MAX (1u << 20)
#define DOTENV_LINES_MAX 4096u

struct dotenv {
	char **pair; /* "KEY=VALUE"; owned */
	size_t n;
};

int dotenv_parse(const char *text, struct dotenv *ret, struct err *err);
/* The last one of that name, or NULL. */
const char *dotenv_get(const struct dotenv *d, const char *key);
/* Wipes the values. */
void dotenv_done(struct dotenv *d);

#endif
