/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cove-gate is told at birth: the one message on BIRTH_FD, decoded
 * (wire/birth.h). It comes from coved, which is trusted, but a wrong one is
 * refused and not guessed at.
 */
#ifndef GATE_BIRTH_H
#define GATE_BIRTH_H

#include "base/err.h"
#include "wire/birth.h"

/* Descriptors are -1 when they were not given. */
struct birth {
	char *name;
	int egress;
	int dns;
	int control;
	int dir;
	int policy;
	int keys;
	int roots[2];
	int run;
	uint64_t rate_up;
	uint64_t rate_down;
	uint64_t quota;
	uint32_t ask;
	char *proxy;    /* NULL: none */
	char *no_proxy; /* NULL: none */
};

/* Owns what it read, also after a failure: always birth_done(). */
int birth_receive(struct birth *b, int sock, struct err *err);
void birth_done(struct birth *b);

#endif
