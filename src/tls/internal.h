/* SPDX-License-Identifier: Apache-2.0 */
/* internal - what the files of tls share. Private to tls. */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include "tls/ca.h"
#include "tls/digest.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <time.h>

/*
 * The leaf for a name: borrowed, valid until the next call. NULL when it
 * cannot be made.
 */
X509 *ca_leaf(struct ca *ca, const char *name);
EVP_PKEY *ca_leaf_key(struct ca *ca);
/* The signer's certificate, sent after the leaf. */
X509 *ca_signer(struct ca *ca);
/* err gets OpenSSL's own reason; always -code. */
int tls_err(struct err *err, int code, const char *what);
uint32_t tls_hash(const char *s);

/* lean.c: a library context that reads keys fast; NULL: take OpenSSL's. */
OSSL_LIB_CTX *tls_lean(void);

/*
 * verified.c: chains of certificates, as servers sent them, that were verified
 * within the hour by the same roots. What a chain is worth does not depend on
 * the name, which is compared each time.
 */
#define VERIFIED_S 3600
#define TLS_HOST_FLAGS X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
struct verified;
struct verified *verified_new(void);
void verified_free(struct verified *v);
/*
 * Whether the server may be name; if not, ctx says why. *ret_until is when its
 * chain must be verified again, 0 when it is not to be kept.
 */
bool verified_check(struct verified *v, X509_STORE_CTX *ctx, const char *name,
	time_t *ret_until);

/*
 * resume.c: sessions of servers that were verified, by a key that says for
 * what (the name) and where. Only TLS 1.3, each used once (RFC 8446 appendix
 * C.4). until is when the server must be verified again; it is handed on from
 * a session to those that come of it, so that none lives longer.
 */
struct resume;
struct resume *resume_new(void);
void resume_free(struct resume *r);
/* Takes the session over. */
void resume_keep(
	struct resume *r, const char *key, SSL_SESSION *session, time_t until);
/* The caller's, or NULL. */
SSL_SESSION *resume_take(struct resume *r, const char *key, time_t *ret_until);

#endif
