/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust - the certificate authority of this install in the places where the
 * guest's tools look: the system's bundle, OpenSSL's directory and Java's store,
 * whatever the distribution, and variables for those with a bundle of their own.
 * The host is trusted; the file system is the guest's and may be anything.
 */
#ifndef AGENT_TRUST_H
#define AGENT_TRUST_H

#include "agent/strv.h"
#include "base/err.h"

#define TRUST_FILE "/usr/local/share/ca-certificates/cove.crt"

/* root: "/" in the guest. hash: OpenSSL's name of it. 0 or -errno with text. */
int trust_install(
	const char *root, const char *cert, const char *hash, struct err *err);
/* Adds the variables that are not set yet. bundle: "" when there is none. */
void trust_environ(struct strv *env, const char *bundle);
/* The system's bundle below root, or "". */
const char *trust_bundle(const char *root);

#endif
