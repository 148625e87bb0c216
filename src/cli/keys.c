/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keys.h"
#include "cli/cli.h"
#include <errno.h>
#include <string.h>

/* One key: a printable character or ctrl-<@ A-Z [ \ ] ^ _>. 0 if neither. */
static uint8_t parse_key(const char *s, size_t len)
{
	if (len == 1 && s[0] > 0x20 && s[0] < 0x7f)
		return (uint8_t)s[0];
	if (len != 6 || strncmp(s, "ctrl-", 5) != 0)
		return 0;
	char c = s[5];
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 1);
	/* ctrl-@ would be 0, which this returns for "not a key" anyway. */
	return c >= '[' && c <= '_' ? (uint8_t)(c - '@') : 0;
}

int keys_parse(const char *spec, struct keys *ret, struct err *err)
{
	struct keys k = {0};

	if (streq(spec, "none")) {
		*ret = k;
		return 0;
	}
	for (const char *s = spec;;) {
		size_t len = strcspn(s, ",");
		uint8_t key = parse_key(s, len);
		if (!key || k.n == DETACH_KEYS_MAX)
			return err_set(err, EUSAGE,
				"'%.40s' is no key sequence: up to %d keys "
				"like 'ctrl-p,ctrl-q', or 'none'",
				spec, DETACH_KEYS_MAX);
		k.seq[k.n++] = key;
		if (s[len] == '\0')
			break;
		s += len + 1;
	}
	*ret = k;
	return 0;
}

size_t keys_feed(struct keys *k, const uint8_t *p, size_t len, uint64_t now_ms,
	bool *ret_detach)
{
	*ret_detach = false;
	if (k->n == 0)
		return len;
	if (k->at && now_ms - k->last_ms > DETACH_WINDOW_MS)
		k->at = 0;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == k->seq[k->at])
			k->at++;
		else
			k->at = p[i] == k->seq[0];
		k->last_ms = now_ms;
		if (k->at < k->n)
			continue;
		k->at = 0;
		*ret_detach = true;
		return i;
	}
	return len;
}
