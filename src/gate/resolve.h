/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve - real addresses of allowed names, by c-ares over the host's own
 * resolvers, when a stream is dialled and not before; an answer is used again
 * for as long as it says itself, and a minute at most. /etc/hosts is read once
 * at start, because the jail hides it. Answers come from the network: hostile,
 * parsed by c-ares, at most RESOLVE_MAX are taken.
 */
#ifndef GATE_RESOLVE_H
#define GATE_RESOLVE_H

#include "base/err.h"
#include "base/loop.h"
#include "policy/name.h"

#define RESOLVE_MAX 16u

struct resolver;
struct lookup;
/* n 0: why says what went wrong. Called from the loop or from lookup_begin. */
typedef void lookup_fn(struct lookup *l, const struct address *addrs, size_t n,
	const char *why);

/* Embedded in whoever asks. Zero-initialised is "not asking". */
struct lookup {
	struct lookup_ticket *ticket;
	lookup_fn *fn;
};

/* Before the jail: reads resolv.conf and hosts. */
int resolver_new(struct loop *loop, struct resolver **ret, struct err *err);
void resolver_free(struct resolver *r);
void lookup_begin(struct resolver *r, struct lookup *l,
	const struct hostname *name, lookup_fn *fn);
/* fn will not be called. */
void lookup_cancel(struct lookup *l);

/* The addresses that a hosts file gives a name; for tests. */
size_t hosts_find(const char *text, const struct hostname *name,
	struct address *out, size_t max);

#endif
