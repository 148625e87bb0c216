/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_head - the fields of one HTTP/2 header block: collected as nghttp2 decodes
 * them, bounded, checked for what nghttp2 leaves to its user, and handed back
 * to nghttp2 for the other side. They come from a guest or a server and are
 * hostile. Owned by whoever made it; any thread.
 */
#ifndef GATE_H2_HEAD_H
#define GATE_H2_HEAD_H

#include "gate/request.h"
#include "http/http.h"

#include <nghttp2/nghttp2.h>

struct h2_field {
	uint32_t name, name_len; /* in text */
	uint32_t value, value_len;
	bool changed; /* value is in values */
};

struct h2_head {
	struct buf text;
	struct buf values; /* may hold a secret: wiped */
	size_t n;
	struct h2_field field[HTTP_FIELDS_MAX]; /* pseudo fields first */
	uint16_t refused; /* the status that says why not, or 0 */
	const char *why;  /* static */
};

struct h2_head *h2_head_new(void);
void h2_head_free(struct h2_head *h);
/* The first reason counts. */
void h2_head_refuse(struct h2_head *h, uint16_t status, const char *why);
/* Once it was refused nothing is kept any more. */
void h2_head_add(struct h2_head *h, const uint8_t *name, size_t name_len,
	const uint8_t *value, size_t value_len);
/*
 * The whole head of a request. 0 and what of it is judged, which looks into h;
 * -EBADMSG: see refused and why.
 */
int h2_head_request(struct h2_head *h, struct request *ret);
/* :status of an answer; 0 when it is none. */
unsigned h2_head_status(const struct h2_head *h);
/* Leaves of a trailer what may pass. */
void h2_head_trailer(struct h2_head *h);

typedef int h2_value_fn(void *arg, const char *field, size_t field_len,
	const char *value, size_t len, struct buf *out);
/*
 * Asks for other values of the fields and the target: 1 there was one, 0,
 * -errno when it cannot be sent.
 */
int h2_head_values(struct h2_head *h, h2_value_fn *fn, void *arg);
/*
 * The fields, and how many. borrow: nghttp2 looks into h until it has written
 * them, so that no copy of a secret is left in its memory.
 */
size_t h2_head_nv(
	const struct h2_head *h, nghttp2_nv nv[HTTP_FIELDS_MAX], bool borrow);

#endif
