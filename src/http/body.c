/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies, RFC 9112 sections 6 and 7.1. */
#include "http/http.h"

#include "http/chars.h"

#include <errno.h>

enum state {
	ST_DATA,    /* plain body, or the data of a chunk */
	ST_SIZE,    /* hex digits */
	ST_EXT,     /* chunk extension, ignored */
	ST_SIZE_LF, /* the LF after size or extension */
	ST_DATA_CR, /* the CRLF after a chunk's data */
	ST_DATA_LF,
	ST_TRAILER, /* trailer section up to the empty line */
	ST_DONE,
};

void http_body_init(struct http_body *b, const struct http_head *h)
{
	*b = (struct http_body){.framing = h->framing};
	switch (h->framing) {
	case HTTP_BODY_NONE:
		b->state = ST_DONE;
		break;
	case HTTP_BODY_LENGTH:
		b->left = h->length;
		b->state = h->length > 0 ? ST_DATA : ST_DONE;
		break;
	case HTTP_BODY_CHUNKED:
		b->state = ST_SIZE;
		break;
	case HTTP_BODY_CLOSE:
		b->left = UINT64_MAX;
		b->state = ST_DATA;
		break;
	}
}

/* At most 15 digits: the sum of two chunk sizes never overflows. */
static int size_byte(struct http_body *b, uint8_t c)
{
	if (http_is(c, HTTP_C_HEX)) {
		if (b->digits == 15)
			return -EBADMSG;
		b->left = b->left << 4 | http_hex(c);
		b->digits++;
		return 0;
	}
	if (b->digits == 0)
		return -EBADMSG;
	if (c == '\r')
		b->state = ST_SIZE_LF;
	else if (c == ';')
		b->state = ST_EXT;
	else
		return -EBADMSG;
	b->counted = 0;
	return 0;
}

static int ext_byte(struct http_body *b, uint8_t c)
{
	if (c == '\r') {
		b->state = ST_SIZE_LF;
		return 0;
	}
	if (!http_is(c, HTTP_C_VALUE) || ++b->counted > HTTP_CHUNK_EXT_MAX)
		return -EBADMSG;
	return 0;
}

static int size_end(struct http_body *b, uint8_t c)
{
	if (c != '\n')
		return -EBADMSG;
	b->digits = 0;
	b->counted = 0;
	b->state = b->left > 0 ? ST_DATA : ST_TRAILER;
	return 0;
}

static int keep_trailer(struct http_body *b, uint8_t c)
{
	if (b->trailer && buf_put(b->trailer, &c, 1) < 0)
		return -EBADMSG;
	return 0;
}

/* Field lines with the same rules as in the head; they are not kept. */
static int trailer_byte(struct http_body *b, uint8_t c)
{
	if (++b->counted > HTTP_TRAILER_MAX)
		return -EBADMSG;
	if (b->cr) {
		if (c != '\n' || (b->in_line && !b->named))
			return -EBADMSG;
		if (!b->in_line)
			b->state = ST_DONE;
		else if (b->trailer && buf_put(b->trailer, "\r\n", 2) < 0)
			return -EBADMSG;
		b->cr = b->in_line = b->named = false;
		return 0;
	}
	if (c == '\r') {
		b->cr = true;
		return 0;
	}
	if (!b->named) {
		if (c == ':' && b->in_line)
			b->named = true;
		else if (!http_is(c, HTTP_C_TOKEN))
			return -EBADMSG;
		b->in_line = true;
		return keep_trailer(b, c);
	}
	return http_is(c, HTTP_C_VALUE) ? keep_trailer(b, c) : -EBADMSG;
}

static int chunk_byte(struct http_body *b, uint8_t c)
{
	switch ((enum state)b->state) {
	case ST_SIZE:
		return size_byte(b, c);
	case ST_EXT:
		return ext_byte(b, c);
	case ST_SIZE_LF:
		return size_end(b, c);
	case ST_DATA_CR:
		b->state = ST_DATA_LF;
		return c == '\r' ? 0 : -EBADMSG;
	case ST_DATA_LF:
		b->state = ST_SIZE;
		return c == '\n' ? 0 : -EBADMSG;
	case ST_TRAILER:
		return trailer_byte(b, c);
	case ST_DATA:
	case ST_DONE:
		break;
	}
	return -EBADMSG;
}

static size_t take_data(struct http_body *b, size_t len)
{
	size_t n = (size_t)MIN((uint64_t)len, b->left);

	if (b->framing == HTTP_BODY_CLOSE)
		return len;
	b->left -= n;
	if (b->left == 0)
		b->state =
			b->framing == HTTP_BODY_CHUNKED ? ST_DATA_CR : ST_DONE;
	return n;
}

int http_body_feed(struct http_body *b, const void *data, size_t len,
	size_t *ret_used, const uint8_t **ret_data, size_t *ret_len)
{
	const uint8_t *d = (const uint8_t *)data;
	size_t i = 0;
	int r;

	*ret_data = d;
	*ret_len = 0;
	while (i < len && b->state != ST_DONE && b->state != ST_DATA) {
		r = chunk_byte(b, d[i++]);
		if (r < 0)
			return r;
	}
	if (i < len && b->state == ST_DATA) {
		*ret_data = d + i;
		*ret_len = take_data(b, len - i);
		i += *ret_len;
	}
	*ret_used = i;
	return b->state == ST_DONE ? 1 : 0;
}

int http_body_eof(struct http_body *b)
{
	if (b->framing == HTTP_BODY_CLOSE)
		b->state = ST_DONE;
	return b->state == ST_DONE ? 0 : -EPIPE;
}
