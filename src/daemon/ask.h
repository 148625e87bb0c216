/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - questions of gates to the person: may this sandbox connect there? They
 * wait here until somebody answers or their time is over. An answer holds for
 * what waits (once), until the sandbox stops (session: rules that only live in
 * memory), or is a rule of the sandbox like any other (always). Targets come
 * from a guest, canonical, by way of its gate. Loop thread only.
 */
#ifndef DAEMON_ASK_H
#define DAEMON_ASK_H

#include "daemon/sandbox.h"

#define ASKS_MAX 64u

struct asks;
struct policy_rule;

enum ask_how { ASK_ONCE, ASK_SESSION, ASK_ALWAYS };

/* Embedded in a client that waits for the next question. */
struct ask_waiter {
	struct list link;
	void (*fn)(struct ask_waiter *w);
};

/* From a gate: body of GF_ASK. */
void ask_add(struct sandbox *sb, const void *body, size_t len);
/* The sandbox stops or goes: questions and session rules are forgotten. */
void ask_free(struct sandbox *sb);
/* [{"id","sandbox","target","port","protocol","since"}] of one or all. */
json_t *ask_json(struct daemon *d, const struct sandbox *only);
/*
 * what: a question's id, its target, or TARGET:PORT. Answers all that fit;
 * *ret_n says how many. -ENOENT when none does.
 */
int ask_answer(struct daemon *d, struct sandbox *only, const char *what,
	bool allow, enum ask_how how, unsigned *ret_n, struct err *err);
/* Rules for this session, after all others; borrowed. */
const struct policy_rule *ask_rules(const struct sandbox *sb, size_t *ret_n);

#endif
