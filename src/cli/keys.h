/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys - finds the detach sequence in what is typed. All keys but the last are
 * passed on as they come, so that nothing typed is held back (a held-back
 * Ctrl-P is what people curse in other tools); the last one is swallowed when
 * it follows within DETACH_WINDOW_MS. Pure; time is given.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "base/err.h"

#define DETACH_KEYS_MAX 4
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"
#define DETACH_WINDOW_MS 1000

struct keys {
	uint8_t seq[DETACH_KEYS_MAX];
	size_t n;  /* 0: no detach sequence */
	size_t at; /* how many of them were just seen */
	uint64_t last_ms;
};

/* "ctrl-p,ctrl-q", "ctrl-],d" or "none". 0 or -EUSAGE with text. */
int keys_parse(const char *spec, struct keys *ret, struct err *err);
/*
 * Looks at len typed bytes. Returns how many of them go to the command; when
 * *ret_detach is set the sequence was completed there and the rest is dropped.
 */
size_t keys_feed(struct keys *k, const uint8_t *p, size_t len, uint64_t now_ms,
	bool *ret_detach);

#endif
