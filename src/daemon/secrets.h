/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets - what gates put in the place of placeholders. Kept sealed
 * (XSalsa20-Poly1305, libsodium) in state/secret/sealed and, for one sandbox,
 * in its own directory, where they go away with it; the key is
 * state/secret/key, mode 0600. A sandbox's own secret hides the one of the
 * same name for all. Open text lives in locked memory only, for the length of
 * a call; no function gives a value back. Loop thread only.
 */
#ifndef DAEMON_SECRETS_H
#define DAEMON_SECRETS_H

#include "daemon/sandbox.h"

#include <jansson.h>

#define SECRET_VALUE_MAX 8192u
#define SECRET_ENV_MAX 4u
#define SECRET_HOSTS_MAX 32u
#define SECRET_USES_MAX 16u

struct secret_spec {
	const char *name;
	const char *value;
	const char *placeholder;
	const char *env[SECRET_ENV_MAX];
	const char *hosts[SECRET_HOSTS_MAX];
	const char *uses[SECRET_USES_MAX];
	size_t n_env, n_hosts, n_uses;
	bool custom;
};

/* sb NULL: for all sandboxes. Gates hear of it before this returns. */
int secrets_set(struct daemon *d, struct sandbox *sb,
	const struct secret_spec *spec, struct err *err);
/* -ENOENT when there is none of that name in this scope. */
int secrets_remove(struct daemon *d, struct sandbox *sb, const char *name,
	struct err *err);
/* Everything but the values: what holds for sb, or the global ones. */
int secrets_list(
	struct daemon *d, struct sandbox *sb, json_t **ret, struct err *err);
/* KEY=PLACEHOLDER for the guest, as an object. */
json_t *secrets_env(struct daemon *d, struct sandbox *sb);
/*
 * A file for the gate (KEYS of wire/gate.h): its signer and the secrets that
 * hold for sb. On failure the gate opens no TLS, and nothing is replaced.
 */
int secrets_keys_fd(struct sandbox *sb, int *ret, struct err *err);

/*
 * Another file of state/secret, sealed with the same key. kept: its text, ""
 * when there is none; heap, to be wiped by the caller.
 */
int secrets_keep(
	struct daemon *d, const char *name, const char *text, struct err *err);
int secrets_kept(
	struct daemon *d, const char *name, char **ret, struct err *err);

#endif
