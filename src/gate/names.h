/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - the synthetic addresses of one sandbox: 198.18.0.0/15 and an IPv6
 * ULA stand for exactly one name each, for the sandbox's whole life. The map
 * is a journal of names, one a line; a name's place in it is its address, so
 * a gate that is started again reads the same map. Names are canonical.
 */
#ifndef GATE_NAMES_H
#define GATE_NAMES_H

#include "base/err.h"
#include "policy/name.h"

#define NAMES_MAX 65536u
/* The first addresses belong to the guest's own interface and resolver. */
#define NAMES_FIRST 16u

struct names;

/* fd: the journal, O_RDWR | O_APPEND; becomes the map's. A torn last line is
 * dropped; anything else that is no name is -EBADMSG. */
int names_open(int fd, struct names **ret, struct err *err);
void names_free(struct names *n);

/* The name's addresses, made on first use. -ENOSPC when the map is full. */
int names_assign(struct names *n, const struct hostname *name,
	struct address *ret_v4, struct address *ret_v6);
/* The name an address stands for, or NULL. */
const struct hostname *names_find(
	const struct names *n, const struct address *a);
/* In the synthetic ranges at all, assigned or not. */
bool names_is_synthetic(const struct address *a);

#endif
