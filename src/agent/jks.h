/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jks - adds a trusted certificate to a Java key store of the form JKS, which
 * Debian's and Fedora's Java read. Pure; the store is the guest's own and may
 * be anything: what is not understood is refused and left alone.
 */
#ifndef AGENT_JKS_H
#define AGENT_JKS_H

#include "base/buf.h"

#define JKS_MAX (8u << 20)

/*
 * The store with the certificate (PEM) under the name "cove" into ret, which is
 * initialised with room for it. -EEXIST: it has it; -EINVAL: no such store, one
 * with a password of its own, or no certificate.
 */
int jks_add(const uint8_t *store, size_t len, const char *pem, struct buf *ret);

#endif
