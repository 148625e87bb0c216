/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - what the verbs of `cove secret` share. Values come from the person
 * and go to coved; none is printed, and copies are wiped.
 */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include "base/err.h"
#include "cli/command.h"
#include <jansson.h>

#define SECRET_VALUE_MAX 8192u

struct secret_opts {
	bool help;
	bool json;
	bool quiet;
	bool services;
	bool all;
	bool force;
	bool dry_run;
	const char *sandbox;
	const char *env;
	const char *header;
	const char *hosts;
	const char *placeholder;
	const char *from;
};

/* A body of POST /v1/secrets; -EINVAL for what is no UTF-8. */
int secret_body(const struct secret_opts *o, const char *name,
	const char *value, json_t **ret, struct err *err);
/* secret_import.c: `secret import [SERVICE...]`. */
int secret_import(const struct call *call, struct err *err);

#endif
