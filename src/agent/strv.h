/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strv - a NULL-terminated vector of heap strings that it owns: an argument
 * list or an environment. Never longer than AGENT_ARGV_MAX.
 */
#ifndef AGENT_STRV_H
#define AGENT_STRV_H

#include "base/util.h"

struct strv {
	char **v; /* NULL while empty, else v[n] is NULL */
	size_t n;
};

void strv_done(struct strv *s);
/* Takes s over in every case; -E2BIG when the vector is full. */
int strv_add(struct strv *s, char *owned);
/* "K=V", replacing an earlier K. Takes it over; -EINVAL without a name. */
int strv_setenv(struct strv *s, char *owned);
/* The value of key or NULL. */
const char *strv_getenv(const struct strv *s, const char *key);

/* len bytes of a, sep and b as a string of the caller's: printf is too slow. */
char *strv_join(
	const char *a, size_t len, const char *sep, const char *b) _never_null_;

#endif
