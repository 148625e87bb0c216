/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy - one HTTP/1.1 connection through the middle, without I/O: a client's
 * requests are parsed, asked about, written anew and passed to a server, and
 * the answers back. Both sides are hostile. The owner moves bytes: it fills
 * in[], sets eof[], calls http_proxy_step() and drains out[].
 *
 * One request is under way at a time, so an answer can never be taken for that
 * of another request; a client that sends several at once waits in in[]. Every
 * request is asked about, each when its turn comes. Bodies of any size pass in
 * bounded memory and as they come, chunks are cut anew, trailers are passed
 * without the fields that frame or route. After an agreed upgrade the rest of
 * the connection is raw bytes both ways.
 *
 * The owner stops reading a side while http_proxy_room() is 0 for it. One
 * thread; all memory is in the struct buf.
 */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "http/http.h"

#define HTTP_PROXY_HIGH (64u * 1024u) /* held for a slow reader */
#define HTTP_PROXY_IN (HTTP_HEAD_MAX + HTTP_PROXY_HIGH)
#define HTTP_PROXY_OUT (2u * HTTP_HEAD_MAX + 4u * HTTP_PROXY_HIGH)

enum http_side { HTTP_CLIENT, HTTP_SERVER };

struct http_proxy_ops {
	/*
	 * A request's whole head. True: it goes to the server. False: answer
	 * holds a whole message that the client gets instead; keep says whether
	 * the connection goes on after it.
	 */
	bool (*request)(void *arg, const struct http_head *h, bool keep,
		struct buf *answer);
	/*
	 * The value of a field, or (f NULL) the target in origin form, goes to
	 * the server: 1 when another value was put into out, else 0.
	 */
	int (*value)(void *arg, const struct http_head *h,
		const struct http_field *f, struct http_span v,
		struct buf *out);
	/* A message was refused; the whole answer that ends the connection. */
	void (*refuse)(void *arg, unsigned status, const char *why,
		struct buf *answer);
};

/* What the owner of a proxy moves and asks. */
struct http_pipe {
	struct buf in[2];  /* from a side: not looked at yet */
	struct buf out[2]; /* for a side */
	bool eof[2];       /* nothing more comes from it */
	bool done;         /* flush the client, then close both */
	bool reset;        /* with done: close without more words */
	bool busy;         /* something is under way */
	bool raw;          /* upgraded: half-closes are passed on */
};

struct http_proxy {
	struct http_pipe io;
	const struct http_proxy_ops *ops;
	void *arg;
	/* private */
	unsigned req, resp;
	struct http_parser req_parser, resp_parser;
	struct http_body req_body, resp_body;
	struct buf trailer;
	struct buf value;
	size_t n_done;       /* answers that were passed whole */
	bool keep;           /* both sides mean to go on */
	bool old_client;     /* HTTP/1.0: knows no chunks */
	bool upgrade;        /* asked for */
	bool expects;        /* waits for 100 before its body */
	bool out_chunked[2]; /* how the body to that side is framed */
};

void http_proxy_init(
	struct http_proxy *p, const struct http_proxy_ops *ops, void *arg);
void http_proxy_done(struct http_proxy *p);
/* As far as it goes. */
void http_proxy_step(struct http_proxy *p);
/* Bytes that in[side] takes now. */
size_t http_proxy_room(const struct http_pipe *io, enum http_side side);

/* proxy_write.c: the head for the other side; 0 or -errno. */
int http_proxy_put_request(struct http_proxy *p, const struct http_head *h);
int http_proxy_put_response(struct http_proxy *p, const struct http_head *h);
/* The end of a chunked body, with the trailers that may pass. */
int http_proxy_put_end(struct buf *out, const struct buf *trailer);
/* Whether a field of that name (any case) may stand in a trailer. */
bool http_trailer_ok(const char *name, size_t len);
/* Target without scheme and authority. */
struct http_span http_proxy_target(const struct http_head *h);

#endif
