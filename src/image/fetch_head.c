/* SPDX-License-Identifier: Apache-2.0 */
#include "image/fetch.h"

#include <string.h>
#include <strings.h>

/* One key="value" or key=value; the rest after it. */
static const char *parameter(const char *s, char *key, size_t key_size,
	char *value, size_t value_size)
{
	size_t n, k = 0;

	s += strspn(s, " \t,");
	n = strcspn(s, "= \t,");
	if (n == 0 || n >= key_size || s[n] != '=')
		return NULL;
	memcpy(key, s, n);
	key[n] = '\0';
	s += n + 1;
	if (*s != '"') {
		n = strcspn(s, ", \t");
		if (n >= value_size)
			return NULL;
		memcpy(value, s, n);
		value[n] = '\0';
		return s + n;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		if (k + 1 >= value_size || (uint8_t)*s < 0x20)
			return NULL;
		value[k++] = *s;
	}
	value[k] = '\0';
	return *s == '"' ? s + 1 : NULL;
}

/* RFC 9110 section 11.6.1; registries send one challenge in a field. */
void fetch_challenge(const char *value, struct fetch_reply *ret)
{
	char key[64], text[FETCH_TEXT_MAX];
	const struct {
		const char *key;
		char *dst;
	} wanted[] = {{"realm", ret->realm}, {"service", ret->service},
		{"scope", ret->scope}};

	value += strspn(value, " \t");
	if (strncasecmp(value, "basic", 5) == 0) {
		ret->basic = true;
		return;
	}
	if (strncasecmp(value, "bearer ", 7) != 0)
		return;
	ret->bearer = true;
	value += 7;
	while ((value = parameter(value, key, sizeof(key), text, sizeof(text))))
		for (size_t k = 0; k < ARRAY_SIZE(wanted); k++)
			if (strcasecmp(key, wanted[k].key) == 0)
				memcpy(wanted[k].dst, text, strlen(text) + 1);
}
