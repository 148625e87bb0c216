/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - strict HTTP/1.1 messages without I/O: bytes in, one parsed head and
 * pieces of body out; and the way back. Input is hostile. Used by coved's API,
 * by its client and by the gate, so there is one parser to trust.
 *
 * A message that two parsers could read in two ways is refused, never
 * repaired: Content-Length with Transfer-Encoding, more than one of either,
 * obs-fold, a bare CR or LF, white space around a field name, control bytes,
 * chunk sizes with anything but hex digits (RFC 9112 sections 2.2, 3, 5.1, 6.3,
 * 7.1 and 11.2). A head that was accepted is written again field by field,
 * never forwarded as raw bytes.
 *
 * Nothing allocates here except struct buf when writing. A head holds offsets
 * into the caller's bytes: it stays valid while those bytes do, wherever they
 * are moved to (http_rebase). Any thread, no global state.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/buf.h"

#define HTTP_HEAD_MAX (64u * 1024u)
#define HTTP_FIELDS_MAX 128u
#define HTTP_TRAILER_MAX (8u * 1024u)
#define HTTP_CHUNK_EXT_MAX 256u

struct http_span {
	uint32_t off; /* from the first byte of the message */
	uint32_t len;
};

/* Fields that frame or route a message, recognised while parsing. */
enum http_known {
	HTTP_F_OTHER,
	HTTP_F_HOST,
	HTTP_F_CONNECTION,
	HTTP_F_CONTENT_LENGTH,
	HTTP_F_TRANSFER_ENCODING,
	HTTP_F_UPGRADE,
	HTTP_F_EXPECT,
	HTTP_F_KEEP_ALIVE,
	HTTP_F_PROXY_CONNECTION,
	HTTP_F_TE,
	HTTP_F_TRAILER,
};

struct http_field {
	struct http_span name;
	struct http_span value; /* without the white space around it */
	enum http_known known;
};

enum http_form {
	HTTP_FORM_ORIGIN,    /* /path?query */
	HTTP_FORM_ABSOLUTE,  /* http://host/path */
	HTTP_FORM_AUTHORITY, /* host:port, CONNECT only */
	HTTP_FORM_ASTERISK,  /* "*", OPTIONS only */
};

enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_CLOSE, /* a response that ends with the connection */
};

struct http_head {
	const char *base; /* first byte of the message; see http_rebase() */
	/* request */
	struct http_span method;
	struct http_span target;
	enum http_form form;
	struct http_span
		authority; /* of absolute or authority form, else Host */
	/* response */
	unsigned status;
	struct http_span reason;
	/* both */
	unsigned minor; /* HTTP/1.minor: 0 or 1 */
	size_t n_fields;
	struct http_field fields[HTTP_FIELDS_MAX];
	enum http_framing framing;
	uint64_t length;      /* HTTP_BODY_LENGTH */
	bool keep_alive;      /* the connection may carry another message */
	bool expect_continue; /* the client waits for 100 */
	bool upgrade;         /* Connection: upgrade with an Upgrade field */
	size_t size;          /* bytes of the head */
};

enum http_kind { HTTP_REQUEST, HTTP_RESPONSE };

struct http_parser {
	enum http_kind kind;
	/* Of the request that a response answers: they have no body. */
	bool to_head;
	bool to_connect;
	bool have_start;
	uint32_t line;   /* first byte of the line in hand */
	uint32_t pos;    /* bytes looked at so far */
	bool skipped;    /* one empty line before the request */
	unsigned status; /* after a refusal: the status that tells the client */
	const char *why; /* after a refusal: a static text */
	struct http_head head;
};

void http_parser_init(struct http_parser *p, enum http_kind kind);
/*
 * data[0..len) is everything of this message so far (it may have grown or
 * moved since the last call). 1: the head is complete, p->head.size bytes
 * long. 0: more bytes are needed. -EBADMSG: refused, see status and why;
 * the connection must be closed.
 */
int http_parse(struct http_parser *p, const void *data, size_t len);

static inline const char *http_ptr(
	const struct http_head *h, struct http_span s)
{
	return h->base + s.off;
}
/* The message now lives at base. */
static inline void http_rebase(struct http_head *h, const void *base)
{
	h->base = (const char *)base;
}
/* Exact comparison, and one that ignores ASCII case. */
bool http_span_is(
	const struct http_head *h, struct http_span s, const char *text);
bool http_span_is_ci(
	const struct http_head *h, struct http_span s, const char *text);
/* The first field of that name (any case) or NULL. */
const struct http_field *http_find(const struct http_head *h, const char *name);
/* True when a comma-separated field of that name holds the token (any case). */
bool http_has_token(
	const struct http_head *h, const char *name, const char *token);
/*
 * True when the field belongs to this connection only (framing, Connection
 * and what it names): it must not be forwarded (RFC 9110 section 7.6.1).
 */
bool http_hop_by_hop(const struct http_head *h, const struct http_field *f);

/* Body: cut out of the stream without copying. */
struct http_body {
	enum http_framing framing;
	uint64_t left; /* of the body, or of the chunk in hand */
	unsigned state;
	unsigned digits;     /* of the chunk size in hand */
	unsigned counted;    /* bytes of extension or trailer so far */
	bool cr;             /* the last byte was CR */
	bool named;          /* a trailer line has had its colon */
	bool in_line;        /* a trailer line has begun */
	struct buf *trailer; /* borrowed; gets the trailer lines, or NULL */
};

void http_body_init(struct http_body *b, const struct http_head *h);
/*
 * Consumes bytes: *ret_used of them, and hands out at most one piece of body
 * (*ret_data inside data, *ret_len possibly 0). 1: the body is complete and
 * the bytes after *ret_used belong to the next message. 0: call again with
 * the rest, or with more bytes. -EBADMSG: refused. Trailers are checked; they
 * go into b->trailer when it is set (of HTTP_TRAILER_MAX), each line with its
 * CRLF, or are dropped.
 */
int http_body_feed(struct http_body *b, const void *data, size_t len,
	size_t *ret_used, const uint8_t **ret_data, size_t *ret_len);
/* The peer closed: 0 when the body was complete, else -EPIPE. */
int http_body_eof(struct http_body *b);

/*
 * Targets. The path is percent-decoded into dst: 0, or -EINVAL for a broken
 * escape, an encoded NUL, control byte or slash, a "." or ".." segment,
 * -ENOBUFS when dst is too small.
 */
int http_path(const struct http_head *h, char *dst, size_t size);
/*
 * Value of a query parameter, decoded ("+" stays "+"): 1 found, 0 absent,
 * -EINVAL broken or given twice, -ENOBUFS. A name without "=" is "".
 */
int http_query(
	const struct http_head *h, const char *name, char *dst, size_t size);
/* Every parameter must be one of names[]: 0, else -EINVAL. */
int http_query_only(
	const struct http_head *h, const char *const *names, size_t n);
/* host, [v6] or host:port as in Host; no user part, no white space. */
bool http_authority_ok(const char *s, size_t len);

/*
 * Writing. Each appends to b: 0, -ENOBUFS, or -EINVAL when a part holds bytes
 * that could end the line or the head early (then nothing is appended).
 */
int http_put_request(struct buf *b, const char *method, const char *target);
int http_put_status(struct buf *b, unsigned status);
int http_put_field(struct buf *b, const char *name, const char *value);
int http_put_field_n(struct buf *b, const char *name, size_t name_len,
	const char *value, size_t value_len);
int http_put_length(struct buf *b, uint64_t length);
int http_put_end(struct buf *b);
/* A chunk; len 0 appends nothing (the last chunk is http_put_last_chunk). */
int http_put_chunk(struct buf *b, const void *p, size_t len);
int http_put_last_chunk(struct buf *b);
const char *http_reason(unsigned status);

#endif
