/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session - requests to one registry on behalf of one pull: challenges are
 * answered with a token or the credential that coved gave, redirects followed, and what
 * may be better next time is tried again. The credential goes to the registry
 * and to the token server that it names, to nobody else. Main thread.
 */
#ifndef IMAGE_SESSION_H
#define IMAGE_SESSION_H

#include "image/fetch.h"
#include "image/progress.h"
#include "image/ref.h"

struct session {
	struct image_ref ref;
	struct progress *p;
	int dir;     /* where bodies go while they are read; borrowed */
	char *basic; /* base64 of user:password, or NULL */
	char authorization[FETCH_AUTH_MAX];
	bool authorized;  /* an answer to a challenge was tried */
	const char *what; /* that is being fetched now, for progress */
	uint64_t base;    /* bytes that were there before */
	uint64_t total;
};

void session_init(struct session *s, const struct image_ref *ref, int dir,
	struct progress *p);
/* From standard input; one of another registry is refused. */
int session_credential(struct session *s, struct err *err);
void session_done(struct session *s);

struct session_get {
	const char *path; /* below /v2/REPO/ */
	const char *accept;
	int fd;       /* appended to */
	uint64_t max; /* bytes that it may have in the end */
};
int session_get(
	struct session *s, const struct session_get *get, struct err *err);

#endif
