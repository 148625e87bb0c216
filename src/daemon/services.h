/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services - the table of services whose hosts, fields and variables are known
 * (share/services.txt, compiled in). Pure.
 */
#ifndef DAEMON_SERVICES_H
#define DAEMON_SERVICES_H

#include "base/err.h"

#define SERVICE_ENV_MAX 4
#define SERVICE_HOSTS_MAX 16
#define SERVICE_USES_MAX 8
#define SERVICES_MAX 128

struct service {
	char *name;
	char *env[SERVICE_ENV_MAX];
	char *hosts[SERVICE_HOSTS_MAX];
	char *uses[SERVICE_USES_MAX];
	size_t n_env, n_hosts, n_uses;
};

/* -EINVAL names the line; the caller frees with services_free(). */
int services_parse(
	const char *text, struct service **ret, size_t *ret_n, struct err *err);
void services_free(struct service *s, size_t n);
/* The compiled-in text. */
extern const char services_text[];

#endif
