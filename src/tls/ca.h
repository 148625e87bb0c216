/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca - certificates that the guests of this install trust: one authority made
 * at first use, one signer for each gate, one leaf for each name that a gate
 * opens. All keys are ECDSA P-256. The authority's key stays with coved; a gate
 * holds only its own signer, which may be bound to names. Key texts are wiped
 * when they are freed with ca_text_free(). Names are canonical (policy/name.h);
 * any thread, one at a time.
 */
#ifndef TLS_CA_H
#define TLS_CA_H

#include "base/err.h"

#define CA_ROOT_DAYS 3650
#define CA_SIGNER_DAYS 365
#define CA_LEAF_DAYS 30
#define CA_LEAVES_MAX 1024u

struct ca;

/* PEM texts; the caller owns both, the key with ca_text_free(). */
struct ca_text {
	char *key;
	char *cert;
};
void ca_text_free(struct ca_text *t);

/* A new authority. */
int ca_make(const char *name, struct ca_text *ret, struct err *err);
/*
 * A signer below it. names: what it may sign for, each with all below it; NULL
 * and 0: everything.
 */
int ca_issue(const struct ca_text *root, const char *name,
	const char *const *names, size_t n_names, struct ca_text *ret,
	struct err *err);

/* A signer in use. */
int ca_open(const struct ca_text *t, struct ca **ret, struct err *err);
void ca_free(struct ca *ca);
/* The SHA-256 fingerprint of a PEM certificate as hex; -EBADMSG. */
int ca_fingerprint(const char *cert, char ret[65]);
/* The name of its file in OpenSSL's directory of certificates. */
#define CA_HASH_LEN 9
int ca_hash(const char *cert, char ret[CA_HASH_LEN]);

#endif
