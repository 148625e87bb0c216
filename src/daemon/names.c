/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/names.h"

#include "wire/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool name_ok(const char *s, size_t len)
{
	if (len < 2 || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_word(s[i]) && s[i] != '-' && s[i] != '.')
			return false;
	return is_word(s[0]) && is_word(s[len - 1]);
}

int name_check(const char *name, struct err *err)
{
	if (name_ok(name, strlen(name)))
		return 0;
	return err_set(err, EINVAL,
		"invalid name '%.80s': 2 to 63 of a-z, 0-9, '-' and '.', with "
		"a letter or digit first and last",
		name);
}

bool id_is_valid(const char *id)
{
	if (strlen(id) != ID_LEN)
		return false;
	for (size_t i = 0; i < ID_LEN; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? id[i] != '-'
			 : !((id[i] >= '0' && id[i] <= '9') ||
				   (id[i] >= 'a' && id[i] <= 'f')))
			return false;
	}
	return true;
}

void id_make(char ret[ID_LEN + 1])
{
	uint8_t b[16];

	/* 16 bytes from an initialised pool never fail and never come short */
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		abort();
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(ret, ID_LEN + 1,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		"%02x%02x%02x%02x%02x%02x",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* Appends s in lower case, everything else as one dash, up to max. */
static size_t put_clean(char *dst, size_t n, size_t max, const char *s)
{
	for (; *s && n < max; s++) {
		char c = *s >= 'A' && *s <= 'Z' ? (char)(*s | 0x20) : *s;

		if (is_word(c) || (c == '.' && n > 0 && is_word(dst[n - 1])))
			dst[n++] = c;
		else if (n > 0 && is_word(dst[n - 1]))
			dst[n++] = '-';
	}
	while (n > 0 && !is_word(dst[n - 1]))
		n--;
	return n;
}

void name_default(const char *template, const char *dir, unsigned n,
	char ret[NAME_MAX_LEN + 1])
{
	char tail[16] = "";
	const char *slash = dir ? strrchr(dir, '/') : NULL;
	size_t max, len, before;

	if (n > 1)
		(void)snprintf(tail, sizeof(tail), "-%u", n);
	max = NAME_MAX_LEN - strlen(tail);
	len = put_clean(ret, 0, max, template);
	if (len == 0)
		len = put_clean(ret, 0, max, "sandbox");
	before = len;
	if (slash && slash[1] && len + 1 < max) {
		ret[len++] = '-';
		len = put_clean(ret, len, max, slash + 1);
		if (len < before)
			len = before;
	}
	if (len < 2)
		len = put_clean(ret, len, max, "0");
	memcpy(ret + len, tail, strlen(tail) + 1);
}

int template_name_check(const char *name, struct err *err)
{
	const char *colon = strchr(name, ':');
	size_t len = colon ? (size_t)(colon - name) : strlen(name);

	if (name_ok(name, len) &&
		(!colon || name_ok(colon + 1, strlen(colon + 1)) ||
			(is_word(colon[1]) && !colon[2])))
		return 0;
	return err_set(err, EINVAL, "invalid template name '%.80s'", name);
}

static bool component_ok(const char *s, size_t len)
{
	if (len == 0 || len > AGENT_NAME_MAX)
		return false;
	if ((len == 1 && s[0] == '.') ||
		(len == 2 && s[0] == '.' && s[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return true;
}

int path_check(const char *path, const char *what, struct err *err)
{
	const char *s = path;
	size_t n;

	if (path[0] != '/')
		return err_set(
			err, EINVAL, "%s '%.200s' is not absolute", what, path);
	if (strlen(path) >= AGENT_PATH_MAX)
		return err_set(err, EINVAL, "%s is longer than %u bytes", what,
			AGENT_PATH_MAX - 1);
	if (path[1] == '\0')
		return 0;
	while (*s) {
		s++; /* the slash */
		n = strcspn(s, "/");
		if (!component_ok(s, n))
			return err_set(err, EINVAL,
				"%s '%.200s' has an empty, '.', '..' or "
				"unprintable component",
				what, path);
		s += n;
	}
	return 0;
}

bool path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (streq(dir, "/"))
		return true;
	return strncmp(path, dir, len) == 0 &&
		(path[len] == '\0' || path[len] == '/');
}

int env_name_check(const char *name, struct err *err)
{
	bool ok = *name && (*name < '0' || *name > '9');

	for (const char *c = name; ok && *c; c++)
		ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			(*c >= '0' && *c <= '9') || *c == '_';
	if (ok && strlen(name) <= AGENT_NAME_MAX)
		return 0;
	return err_set(err, EINVAL, "invalid variable name '%.80s'", name);
}
