/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream - the proxy of the host's environment, where there is one: allowed
 * streams of TCP are connected through it (CONNECT, or SOCKS5 with the name),
 * so that names are resolved there. The setting is the host's own, the proxy's
 * words are hostile: bounded, and not a byte of the stream is taken.
 */
#ifndef GATE_UPSTREAM_H
#define GATE_UPSTREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "policy/name.h"

#define UPSTREAM_ANSWER_MAX 8192u

enum upstream_kind { UPSTREAM_NONE, UPSTREAM_HTTP, UPSTREAM_SOCKS5 };

struct upstream {
	enum upstream_kind kind;
	struct hostname name; /* of the proxy; len 0: addr */
	struct address addr;
	uint16_t port;
	char user[128], password[128]; /* "": none */
	char *except;                  /* NO_PROXY; owned, may be NULL */
};

/*
 * "http://[USER:PASSWORD@]HOST[:PORT]" or socks5://, socks5h://. "" is none.
 * -EINVAL with text for anything else; nothing of a password is in it.
 */
int upstream_parse(const char *url, const char *except, struct upstream *ret,
	struct err *err);
void upstream_done(struct upstream *u);
/* Whether a target goes through it: name or, without one, addr. */
bool upstream_wants(const struct upstream *u, const struct hostname *name,
	const struct address *addr);

/* The talk with a proxy: step 0 is the first. Appends what to say. */
void upstream_say(const struct upstream *u, unsigned step, const char *host,
	uint16_t port, struct buf *out);
/*
 * Looks at what it answered to that step, p of n bytes: *ret_used of them are
 * its. 1 go on with the next step, 2 the stream is open, 0 more is needed,
 * -errno with why.
 */
int upstream_hear(const struct upstream *u, unsigned step, const uint8_t *p,
	size_t n, size_t *ret_used, char *why, size_t why_len);

#endif
