/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit - every verdict as one JSON line in net.log. Each line holds the
 * SHA-256 of the line before it, so a line that is removed or changed shows
 * (tls/chain.h). At AUDIT_SIZE_MAX the log becomes net.log.1 and a new one
 * goes on with the chain. A failed write is counted and never stops traffic
 * that was denied; what would be allowed is denied then (the caller asks
 * audit_ok). Names and ids in it are canonical; every other text is escaped.
 */
#ifndef GATE_AUDIT_H
#define GATE_AUDIT_H

#include "base/err.h"
#include "tls/chain.h"

#define AUDIT_FILE "net.log"
#define AUDIT_OLD "net.log.1"
#define AUDIT_SIZE_MAX (4u * 1024u * 1024u)
#define AUDIT_LINE_MAX 2048u

struct audit {
	int dir; /* borrowed, O_PATH */
	int fd;
	const char *sandbox; /* borrowed */
	uint64_t size;
	uint64_t seq;
	char last[SHA256_HEX]; /* of the last line, without its newline */
	bool broken;           /* the last write failed */
};

struct audit_entry {
	const char *proto;   /* "tcp", "udp", "dns" */
	const char *target;  /* name or address */
	uint16_t port;       /* 0: none */
	const char *path;    /* "tunnel", "open", "raw", "dns", "port" */
	const char *verdict; /* "allow", "deny", "cut", "error", "end" */
	const char *rule;    /* id; "" = no rule spoke */
	const char *reason;
	uint64_t up, down;
};

/* Continues the chain of the log that is there. */
int audit_open(struct audit *a, int dir, const char *sandbox, struct err *err);
void audit_close(struct audit *a);
void audit_write(struct audit *a, const struct audit_entry *e);

#endif
