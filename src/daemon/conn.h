/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - one client of the API: reads one request at a time, hands it to the
 * routes, writes the answer. Clients run as the same user and may still send
 * anything: heads, bodies, time and number are bounded, the connection that
 * says nothing for longest makes room for a new one.
 *
 * Owned by the daemon's list; freed by the loop after conn_close(). A handler
 * answers at once, or leaves an operation with conn_wait() and answers later.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "daemon/daemon.h"
#include "daemon/fields.h"

#include "base/buf.h"
#include "http/http.h"

#define CONN_OUT_MAX (8u * 1024u * 1024u)
#define CONN_IDLE_MS 60000u /* between requests */
#define CONN_HEAD_MS 15000u /* from the first byte of a head to its last */
#define CONN_BODY_MS 60000u
#define CONN_WRITE_MS 60000u /* without taking a byte of the answer */
#define CONN_SWEEP_MS 2000u

enum conn_state {
	CONN_HEAD, /* no request, or a part of its head */
	CONN_BODY,
	CONN_BUSY,   /* a handler will answer */
	CONN_STREAM, /* chunks are being sent */
	CONN_FLUSH,  /* the whole answer is in out */
	CONN_DEAD,
};

struct conn {
	struct list link;
	struct daemon *d;
	struct watch w;
	enum conn_state state;
	struct buf in;
	struct buf out;
	struct http_parser *parser; /* NULL between requests */
	char *head;                 /* copy of the head that parser points to */
	struct http_body body;
	struct buf body_bytes;
	bool keep_alive;
	bool advancing;      /* within advance(): do not nest */
	uint64_t due_ms;     /* 0: no limit now */
	struct list created; /* sandbox.creator */
	/* The handler's operation. */
	void *op;
	void (*gone)(void *op); /* the client is gone; conn must not be used */
	void (*drained)(void *op); /* CONN_STREAM: out is empty again */
	struct task free_task;
};

void conn_accept(struct daemon *d, int fd);
/* Runs gone() of a waiting operation. */
void conn_close(struct conn *c);
/* Arms or re-arms the daemon's sweep timer. */
void conn_sweep(struct daemon *d);
/* Closes the connection that is easiest to spare; false if there is none. */
bool conn_evict(struct daemon *d);

void conn_wait(struct conn *c, void *op, void (*gone)(void *op));
void conn_unwait(struct conn *c);

/* Answers; each ends the request. Takes the body over; NULL = empty. */
void conn_reply(struct conn *c, unsigned status, json_t *body);
void conn_error(
	struct conn *c, unsigned status, const char *code, const char *text);
/* Status and code that belong to err->code. */
void conn_fail(struct conn *c, const struct err *err);
json_t *error_json(const char *code, const char *text);
unsigned error_status(int code, const char **ret_code);

/* A chunked answer. conn_chunk: -ENOBUFS when the client is too slow. */
int conn_stream(struct conn *c, const char *content_type);
int conn_chunk(struct conn *c, const void *p, size_t len);
int conn_chunk_json(struct conn *c, json_t *line);
void conn_stream_end(struct conn *c);
size_t conn_pending(const struct conn *c);

/*
 * Takes the socket out of an upgraded connection and closes the rest: the
 * descriptor, with bytes that came after the head appended to early.
 */
int conn_detach(struct conn *c, struct buf *early);

#endif
