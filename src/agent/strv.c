/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/strv.h"

#include "wire/agent.h"
#include <errno.h>
#include <string.h>

void strv_done(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){0};
}

int strv_add(struct strv *s, char *owned)
{
	if (s->n == AGENT_ARGV_MAX) {
		free(owned);
		return -E2BIG;
	}
	/* Grows at 7, 15, 31, ... so that there is always room for the NULL. */
	if (!s->v || ((s->n + 1) & s->n) == 0)
		s->v = xrealloc(s->v, 2 * s->n + 8, sizeof(*s->v));
	s->v[s->n++] = owned;
	s->v[s->n] = NULL;
	return 0;
}

/* Where key is, or s->n. */
static size_t find(const struct strv *s, const char *key, size_t len)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strncmp(s->v[i], key, len) == 0 && s->v[i][len] == '=')
			break;
	return i;
}

int strv_setenv(struct strv *s, char *owned)
{
	const char *eq = strchr(owned, '=');
	size_t i;

	if (!eq || eq == owned) {
		free(owned);
		return -EINVAL;
	}
	i = find(s, owned, (size_t)(eq - owned));
	if (i == s->n)
		return strv_add(s, owned);
	free(s->v[i]);
	s->v[i] = owned;
	return 0;
}

const char *strv_getenv(const struct strv *s, const char *key)
{
	size_t len = strlen(key);
	size_t i = find(s, key, len);

	return i == s->n ? NULL : s->v[i] + len + 1;
}

char *strv_join(const char *a, size_t len, const char *sep, const char *b)
{
	size_t sep_len = strlen(sep), b_len = strlen(b);
	char *s = xcalloc(len + sep_len + b_len + 1, 1);

	memcpy(s, a, len);
	memcpy(s + len, sep, sep_len);
	memcpy(s + len + sep_len, b, b_len);
	return s;
}
