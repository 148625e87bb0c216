/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn - one TLS connection without I/O: cipher bytes in and out of memory,
 * plain bytes in and out. As a server it stops at the greeting until the owner
 * says what to answer it with; as a client it always verifies the server's
 * certificate against the roots and the name, or resumes a session in which it
 * was verified within the hour. TLS 1.2 and 1.3. Bytes of the
 * peer are hostile, OpenSSL parses them. One thread; never blocks.
 */
#ifndef TLS_CONN_H
#define TLS_CONN_H

#include "base/buf.h"
#include "base/err.h"
#include "tls/ca.h"

#define TLS_PIECE 16384u

/* Protocols, as a set or one. */
#define TLS_H1 1u
#define TLS_H2 2u

enum tls_event {
	TLS_MORE,  /* bytes are needed */
	TLS_HELLO, /* a server: the greeting is there, tls_answer() is due */
	TLS_READY,
	TLS_FAILED, /* tls_why(); bytes for the peer may be left to send */
};

struct tls_roots;
struct tls_conn;

/* Trusted certificates as PEM, one text after the other; len 0 is allowed. */
int tls_roots_new(struct tls_roots **ret, struct err *err);
int tls_roots_add(
	struct tls_roots *r, const char *pem, size_t len, struct err *err);
void tls_roots_free(struct tls_roots *r);

struct tls_front;
/* What all server sides share. */
int tls_front_new(struct tls_front **ret, struct err *err);
void tls_front_free(struct tls_front *f);

/* Each borrows what it is given for its own life; NULL: out of memory. */
struct tls_conn *tls_server(struct tls_front *f);
/* protocols: offered; 0 offers none. */
struct tls_conn *tls_client(
	struct tls_roots *r, const char *name, unsigned protocols);
/*
 * Before the handshake of a client: a session that this name had at peer within
 * the last hour, by the same roots, may stand for verifying it again.
 */
void tls_resume(struct tls_conn *c, const char *peer);
void tls_free(struct tls_conn *c);

/* Cipher bytes from the peer; 0 or -ENOBUFS. */
int tls_feed(struct tls_conn *c, const void *p, size_t len);
size_t tls_unread(const struct tls_conn *c); /* of them, not looked at yet */
enum tls_event tls_handshake(struct tls_conn *c);
/* At TLS_HELLO: what the client offers; *ret_any: it offers protocols. */
unsigned tls_offered(const struct tls_conn *c, bool *ret_any);
/* The leaf for name by ca; protocol 0: none is agreed. */
int tls_answer(
	struct tls_conn *c, struct ca *ca, const char *name, unsigned protocol);
/* At TLS_READY: what was agreed, 0 when nothing. */
unsigned tls_protocol(const struct tls_conn *c);
/* Bytes read, 0: more cipher bytes are needed, -EPIPE: the end, -EPROTO. */
ssize_t tls_read(struct tls_conn *c, void *p, size_t len);
/* All of it; 0 or -EPROTO. */
int tls_write(struct tls_conn *c, const void *p, size_t len);
void tls_close(struct tls_conn *c); /* the notice that nothing more comes */
/* Moves the cipher bytes for the peer; 0 or -ENOBUFS. */
int tls_take(struct tls_conn *c, struct buf *out);
size_t tls_untaken(const struct tls_conn *c); /* bytes that wait for it */
/* Gives memory back that holds nothing. */
void tls_spare(struct tls_conn *c);
/* After a failure; a text for the user without anything of the content. */
const char *tls_why(const struct tls_conn *c);

#endif
