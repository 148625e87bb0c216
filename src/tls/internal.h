/* SPDX-License-Identifier: Apache-2.0 */
/* internal - what the files of tls share. Private to tls. */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include "tls/ca.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

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

#endif
