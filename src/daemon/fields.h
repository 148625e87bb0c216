/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields - JSON objects read strictly by a table: a field that is not in the
 * table, has another type, occurs twice or is out of range is refused with its
 * name. Bodies come from API clients and are hostile; they were bounded in
 * size before. This is the only place that parses JSON text in coved.
 */
#ifndef DAEMON_FIELDS_H
#define DAEMON_FIELDS_H

#include "base/err.h"

#include <jansson.h>

#define JSON_BODY_MAX (1024u * 1024u)

enum field_type {
	FIELD_STR,  /* char *, heap, no NUL inside, at most max bytes */
	FIELD_U32,  /* uint32_t within min..max */
	FIELD_U64,  /* uint64_t within min..max */
	FIELD_BOOL, /* bool */
	FIELD_JSON, /* json_t *, borrowed from the document: array or object */
};

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	uint64_t min, max;
	bool required;
	json_type json; /* FIELD_JSON: the type that is asked for */
};

/* The document, an object or array. -EINVAL with line and column. */
int json_read(const void *p, size_t len, json_t **ret, struct err *err);
/*
 * Fills *dst, which holds the defaults; absent and null fields stay. On
 * failure strings that were set remain the caller's to free. -EINVAL.
 */
int fields_read(json_t *object, const struct field *table, size_t n, void *dst,
	struct err *err);

#define _cleanup_json_ _cleanup_(json_decrefp)

/* A JSON string of any bytes: what is not UTF-8 becomes '?'. */
json_t *json_text(const char *s);
/* RFC 3339 UTC with milliseconds; null for 0. */
json_t *json_time(uint64_t real_ns);
void time_format(uint64_t real_ns, char *dst, size_t size);

#endif
