/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/name.h"
#include <errno.h>
#include <string.h>

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int name_check(const char *name, struct err *err)
{
	size_t len = strlen(name);
	bool ok = len >= 2 && len <= NAME_LEN_MAX && is_alnum(name[0]) &&
		is_alnum(name[len - 1]);

	for (size_t i = 0; ok && i < len; i++)
		ok = is_alnum(name[i]) || name[i] == '-' || name[i] == '.';
	if (!ok)
		return err_set(err, EINVAL,
			"'%.80s' is not a sandbox name: 2 to 63 of a-z, 0-9, "
			"'-' and '.', with a letter or digit at both ends",
			name);
	return 0;
}

/* Lower case; runs of anything else become one '-'; none at the ends. */
static size_t append_clean(char *out, size_t o, size_t max, const char *s)
{
	for (; *s && o < max; s++) {
		char c = *s;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (is_alnum(c) || (c == '.' && o && is_alnum(out[o - 1])))
			out[o++] = c;
		else if (o && is_alnum(out[o - 1]))
			out[o++] = '-';
	}
	while (o && !is_alnum(out[o - 1]))
		o--;
	return o;
}

char *name_default(const char *template, const char *dir)
{
	char *out = xcalloc(NAME_LEN_MAX + 1, 1);
	const char *slash = dir ? strrchr(dir, '/') : NULL;
	size_t o = append_clean(out, 0, NAME_LEN_MAX, template);

	if (slash && slash[1] && o + 2 < NAME_LEN_MAX) {
		size_t before = o;
		out[o] = '-';
		o = append_clean(out, o + 1, NAME_LEN_MAX, slash + 1);
		if (o <= before + 1)
			o = before;
	}
	out[o] = '\0';
	if (o < 2)
		memcpy(out, "sandbox", sizeof("sandbox"));
	return out;
}

char *name_with_suffix(const char *name, const char *suffix)
{
	size_t room = NAME_LEN_MAX - strlen(suffix) - 1;
	size_t len = MIN(strlen(name), room);

	while (len && !is_alnum(name[len - 1]))
		len--;
	return xasprintf("%.*s-%s", (int)len, name, suffix);
}

bool name_is_numbered(const char *name, const char *base)
{
	size_t n = strlen(base);

	if (strncmp(name, base, n) != 0)
		return false;
	if (name[n] == '\0')
		return true;
	return name[n] == '-' && name[n + 1] >= '1' && name[n + 1] <= '9' &&
		name[n + 1 + strspn(name + n + 1, "0123456789")] == '\0';
}
