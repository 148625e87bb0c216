/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority - the certificate authority of this install: state/ca/ca.key (mode
 * 0600) and ca.crt, made at first use. Guests trust it, the host does not. Its
 * key stays in this process; a gate gets a signer of its own, bound to the
 * names that may be opened for its sandbox, so that a gate that is lost cannot
 * speak for any other name to any guest. Loop thread only.
 */
#ifndef DAEMON_AUTHORITY_H
#define DAEMON_AUTHORITY_H

#include "daemon/daemon.h"
#include "tls/ca.h"

/* The certificate as PEM, heap. */
int authority_cert(struct daemon *d, char **ret, struct err *err);
/* A signer for a gate; names as in ca_issue(). */
int authority_signer(struct daemon *d, const char *sandbox,
	const char *const *names, size_t n, struct ca_text *ret,
	struct err *err);

#endif
