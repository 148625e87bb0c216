/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ports - the published ports of a sandbox: which they are is kept in
 * ports.json of its directory (at first what it was created with), the
 * sockets are opened here and served by its gate (gate/ports.h). coved keeps
 * a descriptor of each, so that a gate that is started again serves the same
 * ports, and asks a gate that it adopts for them. Loop thread only.
 */
#ifndef DAEMON_PORTS_H
#define DAEMON_PORTS_H

#include "daemon/sandbox.h"

#include "base/buf.h"

struct ports;

/* Opens what is not open. strict: -EADDRINUSE and the like with text, and
 * what was opened is closed; else what cannot be opened is an event. */
int ports_open(struct sandbox *sb, bool strict, struct err *err);
/* Whether all of them could be opened now, before anything is made. */
int ports_check(const struct publish *p, size_t n, struct err *err);
/* No listener is held any more; the list stays. */
void ports_close(struct sandbox *sb);
void ports_free(struct sandbox *sb);

/* Appends GT_PORT records and their descriptors, which stay ours. */
size_t ports_put(struct sandbox *sb, struct buf *b, int fds[]);
/* Listeners that the gate has: taken where they are in the list. */
void ports_adopt(struct sandbox *sb, const void *body, size_t len, int fds[],
	size_t n_fds);

/* Adds and removes; all or nothing, saved before it has an effect. */
int ports_change(struct sandbox *sb, const struct publish *add, size_t n_add,
	const struct publish *del, size_t n_del, struct err *err);
/* [{"address","host_port","port","protocol","open"}] */
json_t *ports_json(struct sandbox *sb);

static inline const char *publish_protocol(const struct publish *p)
{
	return p->udp ? "udp" : "tcp";
}
/* publish.c: the list in JSON, as in a spec. */
int publish_read(
	json_t *array, struct publish **ret, size_t *ret_n, struct err *err);
json_t *publish_json(const struct publish *p, size_t n);

#endif
