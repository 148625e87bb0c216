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

#include "gate/stream.h"
#include "http/proxy.h"

struct open {
	struct stream *s;
	struct http_pipe *io; /* of the protocol in use */
	struct http_proxy *h1;
};

/* s->first holds the guest's first bytes, a plain request; in ST_RELAY. */
void open_http(struct stream *s);
/* A descriptor of the stream is ready, or (0) there may be tokens again. */
void open_event(struct stream *s, struct side *side, uint32_t events);
/* The rules changed: may what is under way go on? */
bool open_still(struct stream *s);
void open_free(struct open *o);

/* request.c: what a request may do; shared by the protocols. */
struct request {
	const char *method;
	size_t method_len;
	const char *target; /* origin form, with query */
	size_t target_len;
	const char *authority; /* Host or :authority; may be empty */
	size_t authority_len;
};
/* True: it may go. Else the stream holds status, rule and reason; logged. */
bool request_judge(struct stream *s, const struct request *r);
/* May it still, by the rules of now? */
bool request_again(struct stream *s);

extern const struct http_proxy_ops open_http_ops;

#endif
