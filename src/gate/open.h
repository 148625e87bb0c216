/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open - a stream whose requests are read: plain HTTP always, TLS where a rule
 * looks at methods or paths or a secret belongs to the host. The stream keeps
 * its descriptors, name and place in the log; this moves its bytes through the
 * proxy of its protocol, and through TLS where there is some. Bytes of both
 * sides are hostile. Freed with the stream; loop thread only.
 */
#ifndef GATE_OPEN_H
#define GATE_OPEN_H

#include "gate/h2.h"
#include "gate/stream.h"
#include "http/proxy.h"
#include "tls/conn.h"

#define OPEN_SETUP_MS 30000u /* for both TLS handshakes */
#define OPEN_MANY 128u       /* connections; more get smaller windows each */

/*
 * With TLS the server is asked first: what it agrees to is what the guest is
 * answered, so both sides speak the same protocol and nothing is translated.
 */
enum open_phase {
	OPEN_GREETING, /* the guest's, with what it offers */
	OPEN_SERVER,   /* TLS with the server, which is verified */
	OPEN_GUEST,    /* TLS with the guest */
	OPEN_TALK,
};

struct open {
	struct stream *s;
	enum open_phase phase;
	bool opened;           /* counts in n_tls */
	struct http_pipe *io;  /* of the protocol in use; from OPEN_TALK on */
	struct http_proxy *h1; /* one of the two is there */
	struct h2 *h2;
	struct tls_conn *tls[2]; /* by enum http_side; NULL: plain */
	struct buf cipher[2];    /* for a side */
	char refusal[160];       /* what every request is told, or "" */
};

/* s->first holds the guest's first bytes; in ST_RELAY. */
void open_http(struct stream *s);
void open_tls(struct stream *s);
/* A descriptor of the stream is ready, or (0) there may be tokens again. */
void open_event(struct stream *s, struct side *side, uint32_t events);
/* The rules changed: may what is under way go on? */
bool open_still(struct stream *s);
void open_free(struct open *o);

extern const struct http_proxy_ops open_http_ops;
extern const struct h2_ops open_h2_ops;

#endif
