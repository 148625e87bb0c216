/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debian - what mmdebstrap is told, taken from the host: the mirrors and
 * network settings of its own apt, and whether this user may have the user
 * namespace it needs. No mirror is known to this program itself.
 */
#ifndef IMAGE_DEBIAN_H
#define IMAGE_DEBIAN_H

#include "base/err.h"

#define DEBIAN_SUITE "trixie"
#define DEBIAN_KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"

/* A growing argv of heap strings, NULL-terminated. */
struct args {
	char **v;
	size_t n;
};

void args_add(struct args *a, char *owned);
void args_done(struct args *a);

/* "deb [signed-by=...] URI SUITE main", one each for updates and security. */
int debian_sources(struct args *a, struct err *err);
/* "--aptopt=Acquire::..." for proxies, timeouts and checks of the host. */
int debian_apt_options(struct args *a, struct err *err);
/* Says what is missing for mmdebstrap as this user, before it starts. */
int debian_check_user(struct err *err);
/* Sets TMPDIR to a place with need bytes where programs may run. */
int debian_tmpdir(uint64_t need, struct err *err);

#endif
