/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2 - one HTTP/2 connection through the middle, without I/O: what
 * http_proxy is for HTTP/1.1. Two sessions of nghttp2, a server's for the guest
 * and a client's for the server, which is made when the first request passes;
 * an exchange joins a stream of each. Both sides are hostile. The owner moves
 * bytes: it fills io.in[], sets io.eof[], calls h2_step(), drains io.out[].
 *
 * Every request is asked about. Bodies pass as they come: what a side sent
 * counts against its windows until it was written for the other, so a slow
 * reader stops the one that sends, and a connection holds no more than its
 * window each way. What one side resets is reset on the other.
 *
 * Loop thread only; everything is freed by h2_free().
 */
#ifndef GATE_H2_H
#define GATE_H2_H

#include "base/list.h"
#include "gate/h2_head.h"
#include "gate/request.h"
#include "http/proxy.h"

#define H2_STREAMS_MAX 100u     /* of the guest at once */
#define H2_EXCHANGES_MAX 200u   /* with those the server still has */
#define H2_HEADS_MAX (1u << 20) /* decoded fields held at once */
#define H2_NOISE_MAX (1u << 20) /* frames that carry nothing, in bytes */
#define H2_FRAME_HEAD 9u
#define H2_RESETS_MAX 500u /* of the guest: at once */
#define H2_RESETS_PER_S 20u
#define H2_WINDOW (1u << 20)           /* of a connection */
#define H2_WINDOW_SMALL (128u * 1024u) /* of one among very many */

/* What the guest is told instead of an answer. */
struct h2_reply {
	uint16_t status;
	const char *rule;
	struct buf body;
};

struct h2_ops {
	/* True: it goes to the server, ret has what was asked. */
	bool (*request)(void *arg, const struct request *r,
		struct asked *ret_asked, struct h2_reply *ret);
	h2_value_fn *value;
	/* It cannot be read; ret NULL: there is nobody to tell. */
	void (*refuse)(void *arg, uint16_t status, const char *why,
		struct h2_reply *ret);
};

struct h2 {
	struct http_pipe io;
	const struct h2_ops *ops;
	void *arg;
	/* private */
	nghttp2_session *session[2]; /* by enum http_side */
	struct list exchanges;
	size_t n;
	uint32_t window;
	size_t decoded;    /* bytes of fields since all was written */
	size_t held;       /* of requests that wait to be written */
	size_t n_secrets;  /* of them, with another value in them */
	uint64_t taken[2]; /* bytes of a side, see H2_NOISE_MAX */
	uint64_t useful;   /* of heads and bodies, both ways */
	const char *why;   /* the guest's session is over */
	bool leaving;      /* somebody said goodbye */
	bool gone;         /* there is no server any more */
};

/* A request and its answer. */
struct exchange {
	struct list link; /* h2.exchanges */
	struct h2 *h;
	int32_t id[2];              /* of the stream on a side; 0: none */
	bool open[2];               /* and it lives */
	struct h2_head *head[2];    /* arriving from a side */
	struct h2_head *sent;       /* the request; until it is written */
	struct h2_head *trailer[2]; /* for a side, after its body */
	struct buf body[2];         /* for a side */
	bool ended[2];              /* nothing more comes for a side */
	bool answered;              /* the guest has the head of an answer */
	bool told;                  /* and its end */
	bool refused;               /* by us: the server has no part in it */
	bool to_head;               /* its answer has no body */
	struct asked asked;
};

/* window: what a connection may hold for a slow reader. */
struct h2 *h2_new(const struct h2_ops *ops, void *arg, uint32_t window);
void h2_free(struct h2 *h);
/* As far as it goes. */
void h2_step(struct h2 *h);
/* Whether fn says yes to everything that is under way. */
bool h2_all(const struct h2 *h, bool (*fn)(void *arg, const struct asked *a),
	void *arg);

/* h2_talk.c: what goes on between the two sessions. Private to h2. */
struct exchange *exchange_new(struct h2 *h, int32_t id);
void exchange_free(struct exchange *x);
/* The guest's request is complete but for its body. */
void exchange_begin(struct exchange *x, bool ended);
/* A head of the server: interim, final or trailer. */
void exchange_answer(struct exchange *x, bool ended);
void exchange_trailer(struct exchange *x, enum http_side from);
/* A piece of body, and its end. */
void exchange_data(
	struct exchange *x, enum http_side from, const uint8_t *p, size_t len);
void exchange_ended(struct exchange *x, enum http_side from);
/* A side's stream is closed; frees x when both are. */
void exchange_closed(struct exchange *x, enum http_side side, uint32_t code);
/* nghttp2 has written the head of the request; the end of the answer. */
void exchange_written(struct exchange *x);
void exchange_told(struct exchange *x);
/* Without a server: what is not answered is refused, the rest is reset. */
void exchange_orphaned(struct exchange *x);

/* h2.c */
int h2_server(struct h2 *h);

#endif
