/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_ends - an HTTP/2 client and a server in memory with a struct h2 between
 * them, for the tests of gate/h2. What each end hears is kept as lines of text:
 * "1 x-key: real", "1 data 5", "1 end", "1 reset 8", "goaway 0".
 */
#ifndef H2_ENDS_H
#define H2_ENDS_H

#include "gate/h2.h"

/* A body an end sends. */
struct piece {
	size_t left;
	bool hold;           /* set before: it does not end yet */
	const char *trailer; /* "name: value", or NULL */
};

#define BODIES 64u

struct end {
	nghttp2_session *s;
	struct buf log;
	struct piece body[BODIES]; /* by stream id / 2 */
	size_t got;                /* bytes of bodies */
	bool eats;                 /* gives windows back */
	int32_t newest;            /* stream that was heard of */
};

struct ends {
	struct h2 *h;
	struct end guest, server;
	unsigned asked, refused;
	const char *why; /* of the newest refusal */
	bool cut;        /* bytes move one by one */
};

struct ends *ends_new(void);
void ends_free(struct ends *e);
/* Moves bytes until nothing moves. */
void ends_run(struct ends *e);
/*
 * "name: value" lines, NULL at the end; size: of a body; the guest's id of the
 * stream, the server's is server.newest when it got there.
 */
int32_t ends_ask(struct ends *e, const char *const *fields, size_t size,
	const char *trailer);
void ends_answer(struct ends *e, int32_t id, const char *const *fields,
	size_t size, const char *trailer);
/* More of a body that was held. */
void ends_more(
	struct ends *e, struct end *end, int32_t id, size_t size, bool last);
void ends_interim(struct ends *e, int32_t id, const char *status);
/* The log holds this. */
bool heard(const struct end *end, const char *line);

#endif
