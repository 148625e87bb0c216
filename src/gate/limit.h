/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit - what the connections of one rule may do together: rates and a quota,
 * found by the rule's id, so that they survive other changes of the rules.
 * What was used of a quota is kept in the file "limits", one line of fixed
 * width a rule, written over in steps: a gate that is killed forgets at most
 * the last step. Owned by the gate.
 */
#ifndef GATE_LIMIT_H
#define GATE_LIMIT_H

#include "gate/gate.h"

struct limit {
	struct list link;
	char id[POLICY_ID_LEN];
	struct rate up, down;
	uint64_t quota; /* bytes both ways; 0 = none */
	uint64_t used;
	uint64_t kept; /* of it, as the file has it */
	uint32_t line; /* of the file, from 1; 0: none */
	bool keep;
};

/* Before the first rules: what earlier gates counted. */
int limits_open(struct gate *g, struct err *err);

/* One for each rule that has some. Streams must be told before limits_sweep(),
 * which frees those whose rule is gone. */
void limits_update(struct gate *g);
void limits_sweep(struct gate *g);
void limits_done(struct gate *g);
/* The limit of a question's rule, or NULL. */
struct limit *limit_find(const struct gate *g, const struct policy_question *q);
static inline bool limit_over(const struct limit *l)
{
	return l && l->quota && l->used >= l->quota;
}
/* n bytes moved: true when that used the quota up. */
bool limit_spend(struct gate *g, struct limit *l, uint64_t n);

#endif
