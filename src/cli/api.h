/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api - the one way to coved: HTTP/1.1 with JSON over its Unix socket
 * (docs/api.md), one connection a request, blocking. Starts coved when it is
 * not there. Answers are bounded and parsed strictly; errors arrive as text for
 * the user, with an errno that stands for the API's error code.
 */
#ifndef CLI_API_H
#define CLI_API_H

#include "base/buf.h"
#include "cli/cli.h"
#include "http/http.h"
#include <jansson.h>

#define API_BODY_MAX (16u * 1024u * 1024u)
#define API_TICK_MS 500
#define API_QUICK_MS 10000 /* for an answer that takes no work */

struct api {
	struct cli *cli;
	bool no_start;       /* -ENOTCONN instead of starting coved */
	uint32_t timeout_ms; /* of silence; 0 = for ever */
	/* Called each API_TICK_MS of waiting, to show that we are alive. */
	void (*tick)(void *arg);
	void *tick_arg;
};

/* A connection to coved; -ENOTCONN when it does not run and must not start. */
int api_connect(const struct api *api, struct err *err);

/*
 * Sends body (may be NULL) and reads the whole answer. *ret is a new reference,
 * NULL when the answer had no body; ret may be NULL. 0 or -errno with text.
 */
int api_call(const struct api *api, const char *method, const char *path,
	const json_t *body, json_t **ret, struct err *err);
/* An object; asked once more when coved dies in between. */
int api_get(
	const struct api *api, const char *path, json_t **ret, struct err *err);

/* One piece of body; non-zero ends the stream and is returned. */
typedef int api_piece_fn(void *arg, const uint8_t *p, size_t len);
/*
 * Hands out the body as it arrives. accept is the media type to ask for, NULL
 * for JSON. 0 when the body was complete.
 */
int api_stream(const struct api *api, const char *method, const char *path,
	const json_t *body, const char *accept, api_piece_fn *fn, void *arg,
	struct err *err);

/*
 * A byte stream to the agent of a sandbox. *ret_fd is the caller's; bytes that
 * came with the answer are appended to early. What is in ask (NULL: nothing)
 * goes along with the request, one round trip earlier: coved passes it on after
 * it has answered, so an agent sees it at most once.
 */
int api_exec(const struct api *api, const char *sandbox, const struct buf *ask,
	int *ret_fd, struct buf *early, struct err *err);

/* The same in steps, for a caller that has a loop. */
int api_put_exec(struct buf *out, const char *sandbox);
/* 1 switched: the head is consumed from in; 0 more bytes; -errno with text. */
int api_take_switch(struct buf *in, struct http_parser *p, struct err *err);

/* errno that stands for the API's error code, EIO for an unknown one. */
int api_errno(const char *code);

#endif
