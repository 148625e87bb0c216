/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - what a person reads on standard output: harmless strings, aligned
 * columns, times. Strings from coved may quote a guest and are hostile to a
 * terminal: nothing here prints a control character.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include "base/util.h"
#include <jansson.h>

/* Heap copy in which control characters and broken UTF-8 became '?'. */
char *text_safe(const char *s);
/* As text_safe for len bytes of log text; keeps newline and tab. */
char *text_safe_lines(const char *p, size_t len);
/* The argument as a shell would need it; heap. */
char *text_shell(const char *arg);

/* Rows of cells, printed in aligned columns; the last column is not padded. */
struct table {
	char **cells;
	size_t n;
	size_t columns;
};

void table_init(struct table *t, size_t columns);
/* The same with a first row of n heads. */
void table_heads(struct table *t, const char *const *heads, size_t n);
void table_done(struct table *t);
/* Copies the cell; NULL counts as "". Cells fill rows from the left. */
void table_cell(struct table *t, const char *cell);
void table_print(const struct table *t);

/* "3 minutes ago" from RFC 3339 in UTC; the text itself if it is no time. */
char *text_ago(const char *rfc3339, int64_t now);
/* Seconds since the epoch, or -1. */
int64_t text_time(const char *rfc3339);
/* "3 s", "4 min", "2 h", "5 d". */
const char *text_span(uint64_t ms, char *buf, size_t len);

/* Indented, with a newline, to standard output. */
void text_json(const json_t *value);

/* Members of an object from coved; a missing or odd one reads as "" or 0. */
const char *jstr(const json_t *object, const char *key);
uint64_t ju64(const json_t *object, const char *key);

#endif
