/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault - what this gate may sign with and the secrets of its sandbox, as coved
 * gave them (wire/gate.h). Values are wiped when they are freed and appear
 * nowhere but in the request they belong to (the jail forbids core dumps).
 *
 * A use says where a placeholder counts, "FIELD: FORMAT", and is matched as a
 * whole, so that a guest cannot have a secret written into anything else:
 *
 *   x-api-key: %s            the value is the placeholder
 *   authorization: Bearer %s after this word, whatever its case
 *   authorization: Basic %s  as user or password
 *   *: *                     anywhere in any field (a custom secret)
 *   ?key                     the whole of this parameter of the query
 */
#ifndef GATE_VAULT_H
#define GATE_VAULT_H

#include "http/http.h"
#include "policy/policy.h"
#include "tls/ca.h"

struct vault;

/* Reads the file and wipes it. */
int vault_read(int fd, struct vault **ret, struct err *err);
void vault_free(struct vault *v);
struct ca *vault_ca(const struct vault *v);
/* Does a secret belong to this host? v may be NULL. */
bool vault_speaks_of(
	const struct vault *v, const struct hostname *name, uint16_t port);
/*
 * A field's value (field "?": the target) on its way to that host: 1 and the
 * new value in out, whose bytes the caller wipes; 0: stays as it is. -errno.
 */
int vault_replace(const struct vault *v, const struct hostname *name,
	uint16_t port, const char *field, size_t field_len, const char *value,
	size_t len, struct buf *out);

#endif
