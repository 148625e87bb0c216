/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dotenv.h"

#include <errno.h>
#include <string.h>

#define BLANK " \t\r"
#define NAME_CHARS                                                      \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.0123456" \
	"789"

void dotenv_done(struct dotenv *d)
{
	for (size_t i = 0; i < d->n; i++) {
		explicit_bzero(d->pair[i], strlen(d->pair[i]));
		free(d->pair[i]);
	}
	free(d->pair);
	*d = (struct dotenv){NULL, 0};
}

const char *dotenv_get(const struct dotenv *d, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = d->n; i-- > 0;)
		if (strncmp(d->pair[i], key, len) == 0 &&
			d->pair[i][len] == '=')
			return d->pair[i] + len + 1;
	return NULL;
}

static char unescape(char c)
{
	return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
}

/*
 * The value at p into to, which has room for the line. The end of what was
 * read, or NULL when a quote is not closed.
 */
static const char *read_value(const char *p, const char *end, char *to)
{
	char quote = p < end && (*p == '"' || *p == '\'') ? *p++ : '\0';
	char *start = to;

	while (p < end && (quote ? *p != quote : true)) {
		/* In a bare value a comment has a blank before it. */
		if (!quote && *p == '#' && strchr(BLANK, p[-1]))
			break;
		if (quote == '"' && *p == '\\' && p + 1 < end) {
			*to++ = unescape(p[1]);
			p += 2;
			continue;
		}
		*to++ = *p++;
	}
	if (quote && p == end)
		return NULL;
	while (!quote && to > start && strchr(BLANK, to[-1]))
		to--;
	*to = '\0';
	return quote ? p + 1 : p;
}

/* One pair, or nothing for a line without. */
static int read_line(const char *p, const char *end, char **ret)
{
	_cleanup_free_ char *pair = xcalloc((size_t)(end - p) + 2, 1);
	size_t n;

	p += strspn(p, BLANK);
	if (p >= end || *p == '#')
		return 0;
	if (strncmp(p, "export", 6) == 0 && strchr(BLANK, p[6]) && p[6])
		p += 6 + strspn(p + 6, BLANK);
	n = strspn(p, NAME_CHARS);
	memcpy(pair, p, n);
	pair[n] = '=';
	p += n + strspn(p + n, BLANK);
	if (n == 0 || p >= end || *p != '=')
		return -EINVAL;
	p++;
	p += strspn(p, BLANK);
	p = read_value(MIN(p, end), end, pair + n + 1);
	if (!p)
		return -EINVAL;
	p += strspn(p, BLANK);
	if (p < end && *p != '#')
		return -EINVAL;
	*ret = TAKE_PTR(pair);
	return 1;
}

int dotenv_parse(const char *text, struct dotenv *ret, struct err *err)
{
	struct dotenv d = {xcalloc(DOTENV_LINES_MAX, sizeof(char *)), 0};
	unsigned line = 1;
	int r = 0;

	for (; *text && r >= 0; line += r >= 0) {
		size_t n = strcspn(text, "\n");

		r = d.n == DOTENV_LINES_MAX
			? -E2BIG
			: read_line(text, text + n, &d.pair[d.n]);
		d.n += r == 1;
		text += n + (text[n] == '\n');
	}
	if (r < 0) {
		dotenv_done(&d);
		return err_set(err, -r,
			r == -E2BIG
				? "line %u: too many variables"
				: "line %u is not KEY=VALUE, KEY='VALUE' or "
				  "KEY=\"VALUE\"",
			line);
	}
	*ret = d;
	return 0;
}
