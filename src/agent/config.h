/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - what the host answers to HELLO: identity, time, entropy, mounts and
 * defaults for processes. The host is trusted by the guest, but the message
 * is bounded and checked like any other.
 */
#ifndef AGENT_CONFIG_H
#define AGENT_CONFIG_H

#include "agent/strv.h"
#include "base/err.h"

#define CONFIG_MOUNTS 32u
#define CONFIG_ENTROPY_MAX 512u

struct mount_spec {
	char *export;   /* one component below SHARE_DIR */
	char *target;   /* absolute, without ".." */
	uint32_t flags; /* AMF_* */
};

struct config {
	char *name;    /* sandbox and host name */
	char *sandbox; /* UUID */
	char *workdir; /* default cwd or NULL */
	char *user;    /* default user or NULL */
	char *trust;   /* PEM of an authority or NULL */
	char *trust_hash;
	uint32_t ssh_agent; /* 1: the host has one for us */
	struct strv env;
	struct mount_spec mounts[CONFIG_MOUNTS];
	size_t n_mounts;
	uint8_t entropy[CONFIG_ENTROPY_MAX];
	size_t n_entropy;
	uint64_t realtime_ns; /* 0: unknown */
	uint32_t pids_max;    /* 0: no limit */
};

/* 0, or -EBADMSG/-E2BIG with text; on failure ret is not touched. */
int config_parse(
	const void *p, size_t len, struct config *ret, struct err *err);
void config_done(struct config *c);
/* Lower-case letters, digits, '-' and '.', 1 to 63, beginning with a letter or
 * digit: what may become a host name. */
bool config_name_ok(const char *name);
/* 36 characters of hexadecimal digits and dashes. */
bool config_uuid_ok(const char *s);
/* Absolute, no empty, "." or ".." component, no trailing slash, not "/". */
bool config_path_ok(const char *path);

#endif
