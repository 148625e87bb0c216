/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request - the verdict on one request of an opened stream, and what of it goes
 * to the server in another form: the same for every version of HTTP. What is
 * read here was parsed, and is hostile. Loop thread only.
 */
#ifndef GATE_REQUEST_H
#define GATE_REQUEST_H

#include "base/buf.h"

struct stream;

struct request {
	const char *method;
	size_t method_len;
	const char *target; /* origin form, with query */
	size_t target_len;
	const char *authority; /* Host or :authority; may be empty */
	size_t authority_len;
};

/* What rules were asked about; NULL: they do not look at requests. */
struct asked {
	char *method, *path;
};
static inline void asked_done(struct asked *a)
{
	free(TAKE_PTR(a->method));
	free(TAKE_PTR(a->path));
}

/*
 * True: it may go, and s->asked says what was asked. Else the stream holds
 * status, rule and reason; logged.
 */
bool request_judge(struct stream *s, const struct request *r);
/* It was no request that can be read: the same, without a verdict. */
void request_refuse(struct stream *s, uint16_t status, const char *why);
/* May it still, by the rules of now? */
bool request_again(struct stream *s, const struct asked *a);

/* Another value for the server; see http_proxy_ops.value. */
int request_value(struct stream *s, const char *field, size_t field_len,
	const char *value, size_t len, struct buf *out);

#endif
