/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * Length of the UTF-8 character at p (RFC 3629: no overlong forms, no
 * surrogates), 0 when there is none. *ret_code is written on success.
 */
static size_t utf8_char(const unsigned char *p, size_t len, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1
		: p[0] < 0xc2  ? 0
		: p[0] < 0xe0  ? 2
		: p[0] < 0xf0  ? 3
		: p[0] < 0xf5  ? 4
			       : 0;

	if (n == 0 || n > len)
		return 0;
	uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fu);
	}
	if (n > 1 && code < least[n])
		return 0;
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return n;
}

static bool code_is_control(uint32_t code)
{
	/* C0, DEL, C1, and the marks that reorder what is on the screen. */
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
		(code >= 0x202a && code <= 0x202e) ||
		(code >= 0x2066 && code <= 0x2069);
}

static char *safe_copy(const char *s, size_t len, const char *keep)
{
	const unsigned char *p = (const unsigned char *)s;
	char *out = xcalloc(len + 1, 1);
	size_t o = 0;

	for (size_t i = 0; i < len;) {
		uint32_t code;
		size_t n = utf8_char(p + i, len - i, &code);
		bool kept = n == 1 && code != 0 && strchr(keep, (int)code);
		if (n == 0 || (code_is_control(code) && !kept)) {
			out[o++] = '?';
			i += n ? n : 1;
			continue;
		}
		memcpy(out + o, s + i, n);
		o += n;
		i += n;
	}
	return out;
}

char *text_safe(const char *s)
{
	return safe_copy(s, strlen(s), "");
}

char *text_safe_lines(const char *p, size_t len)
{
	return safe_copy(p, len, "\n\t");
}

char *text_shell(const char *arg)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-./:=@%+,";
	if (*arg && arg[strspn(arg, plain)] == '\0')
		return xstrdup(arg);
	char *out = xcalloc(strlen(arg) * 4 + 3, 1);
	size_t o = 0;
	out[o++] = '\'';
	for (; *arg; arg++) {
		if (*arg == '\'') {
			memcpy(out + o, "'\\''", 4);
			o += 4;
		} else {
			out[o++] = *arg;
		}
	}
	out[o] = '\'';
	return out;
}

void table_init(struct table *t, size_t columns)
{
	*t = (struct table){.columns = columns};
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){0};
}

void table_cell(struct table *t, const char *cell)
{
	t->cells = xrealloc(t->cells, t->n + 1, sizeof(*t->cells));
	t->cells[t->n++] = text_safe(cell ? cell : "");
}

void table_heads(struct table *t, const char *const *heads, size_t n)
{
	table_init(t, n);
	for (size_t i = 0; i < n; i++)
		table_cell(t, heads[i]);
}

/* Characters, which is columns for all that appears in names and paths. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

void table_print(const struct table *t)
{
	_cleanup_free_ size_t *wide = xcalloc(t->columns, sizeof(*wide));

	for (size_t i = 0; i < t->n; i++)
		wide[i % t->columns] =
			MAX(wide[i % t->columns], width(t->cells[i]));
	for (size_t i = 0; i < t->n; i++) {
		size_t col = i % t->columns;
		if (col + 1 == t->columns) {
			printf("%s\n", t->cells[i]);
			continue;
		}
		int pad = (int)(wide[col] - width(t->cells[i]) + 3);
		printf("%s%*s", t->cells[i], pad, "");
	}
}

int64_t text_time(const char *rfc3339)
{
	struct tm tm = {0};
	const char *end = strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end)
		return -1;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	return streq(end, "Z") ? (int64_t)timegm(&tm) : -1;
}

static const struct span {
	uint64_t ms;
	const char *unit;
	const char *word;
} spans[] = {
	{86400000, "d", "day"},
	{3600000, "h", "hour"},
	{60000, "min", "minute"},
	{1000, "s", "second"},
};

char *text_ago(const char *rfc3339, int64_t now)
{
	int64_t then = text_time(rfc3339);

	if (then < 0)
		return text_safe(rfc3339);
	uint64_t ms = now > then ? (uint64_t)(now - then) * 1000 : 0;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
		uint64_t n = ms / spans[i].ms;
		if (n)
			return xasprintf("%" PRIu64 " %s%s ago", n,
				spans[i].word, n == 1 ? "" : "s");
	}
	return xstrdup("just now");
}

const char *text_span(uint64_t ms, char *buf, size_t len)
{
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(spans) && ms < spans[i].ms)
		i++;
	snprintf(buf, len, "%" PRIu64 " %s", ms / spans[i].ms, spans[i].unit);
	return buf;
}

void text_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}

const char *jstr(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

uint64_t ju64(const json_t *object, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(object, key));

	return v > 0 ? (uint64_t)v : 0;
}
