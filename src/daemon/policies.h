/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policies - the rules that are kept: a preset and rules for all sandboxes in
 * state/policy, rules of one sandbox in its own directory, where they go away
 * with it. All are rule files (policy/policy.h) that a person can read; every
 * change replaces a file as a whole and is durable before a gate hears of it.
 * A file that cannot be read means: nothing is allowed. Loop thread only.
 */
#ifndef DAEMON_POLICIES_H
#define DAEMON_POLICIES_H

#include "daemon/sandbox.h"
#include "policy/policy.h"

#define POLICIES_PRESET "balanced" /* until another one is chosen */

struct policies {
	struct policy_rule *rules; /* preset, global, sandbox */
	size_t n;
	size_t n_preset;
	size_t n_global;  /* after the preset's */
	size_t n_session; /* the last ones, of policies_all() */
};

/* What holds for sb, or for a sandbox without rules of its own (NULL). */
int policies_read(struct daemon *d, const struct sandbox *sb,
	struct policies *ret, struct err *err);
/* The same and what was answered for this session: what is in force. */
int policies_all(struct daemon *d, const struct sandbox *sb,
	struct policies *ret, struct err *err);
void policies_done(struct policies *p);
/* As one rule file with ids. On failure the text that denies everything. */
char *policies_text(struct daemon *d, const struct sandbox *sb);

const char *policies_preset(struct daemon *d);
int policies_set_preset(struct daemon *d, const char *name, struct err *err);
/* Gives the rule its id. sb NULL: for all sandboxes. */
int policies_add(struct daemon *d, struct sandbox *sb,
	struct policy_rule *rules, size_t n, struct err *err);
/* By id or by target; -ENOENT when nothing fits. */
int policies_remove(struct daemon *d, struct sandbox *sb, const char *what,
	unsigned *ret_n, struct err *err);
/* Among the sandbox's own rules. */
bool policies_has_id(
	struct daemon *d, const struct sandbox *sb, const char *id);
/* No rules but the default preset. */
int policies_reset(struct daemon *d, struct err *err);

#endif
