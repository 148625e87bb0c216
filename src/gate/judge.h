/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge - the verdicts on a stream: on its header, on the addresses its name
 * has, on its first bytes, and again when the rules change. All of them ask
 * src/policy; a stream that is refused is logged here, once.
 */
#ifndef GATE_JUDGE_H
#define GATE_JUDGE_H

#include "gate/stream.h"

enum judge_first {
	JUDGE_MORE, /* bytes are needed */
	JUDGE_PASS,
	JUDGE_OPEN,     /* plain HTTP: each request is read */
	JUDGE_OPEN_TLS, /* TLS is taken off first */
	JUDGE_REFUSE,   /* why says it in words */
};

/* The header is complete. */
void judge_head(struct stream *s);
/* s->first holds the guest's first bytes: do they name the stream's host? */
enum judge_first judge_first(const struct stream *s, char *why, size_t len);
/* Logs the refusal and answers it in the way the client can read. */
void judge_refuse(struct stream *s, uint16_t status, const char *verdict,
	const char *reason);
struct policy_question judge_question(const struct stream *s);
void judge_keep_rule(struct stream *s, const struct policy_rule *rule);
/* A person said yes to a stream that waits for it. */
void judge_approve(struct stream *s);
/* The rules changed. */
void judge_again(struct gate *g);

#endif
