/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch - one HTTP GET in a process of its own, cove-fetch: libcurl, TLS and
 * what a server says are read there, jailed, with no file but the one that the
 * body goes to. cove-image starts it, hands it the request on its standard
 * input and gets fixed structs on its standard output, which it checks.
 *
 * Redirects are not followed but told: whose credential goes where is decided
 * in one place (pull.c). Names are resolved before the jail closes.
 */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "base/err.h"

#define FETCH_URL_MAX 4096
#define FETCH_TEXT_MAX 1024
#define FETCH_AUTH_MAX (16 * KIB)
#define FETCH_BODY_FD 3

struct fetch_request {
	char url[FETCH_URL_MAX];
	char authorization[FETCH_AUTH_MAX]; /* "" none */
	char accept[FETCH_TEXT_MAX];
	uint64_t offset; /* of the first byte that is wanted */
	uint64_t max;    /* bytes of body */
	bool http;       /* plain HTTP is allowed: the host's own loopback */
};

/* Any number with done = false, then the last. */
struct fetch_reply {
	bool done;
	uint64_t got;   /* bytes of body so far */
	uint64_t total; /* 0: unknown */
	int code;       /* an errno, or 0: then the status is the server's */
	char text[FETCH_TEXT_MAX]; /* of the error */
	bool retry;                /* it may be better next time */
	uint32_t status;
	char location[FETCH_URL_MAX]; /* of a redirect */
	/* WWW-Authenticate */
	bool bearer, basic;
	char realm[FETCH_TEXT_MAX];
	char service[FETCH_TEXT_MAX];
	char scope[FETCH_TEXT_MAX];
};

/*
 * body is an open file, written from its end on. tick is called with what has
 * come so far. 0 when a server answered at all: the status is to be judged.
 */
int fetch(const struct fetch_request *req, int body,
	void (*tick)(void *arg, const struct fetch_reply *now), void *arg,
	struct fetch_reply *ret, struct err *err);

/* The server's challenge into realm, service and scope; pure, hostile. */
void fetch_challenge(const char *value, struct fetch_reply *ret);

#endif
