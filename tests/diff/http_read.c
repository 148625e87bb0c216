/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_read - says how Cove reads HTTP/1 messages, for http.py to compare with
 * another implementation. On standard input, for each message: its length
 * (32 bits, this machine's order), a kind, a step and the bytes. The bytes are
 * offered step at a time (0: at once). On standard output: a verdict and what
 * was read; texts are a 32-bit length and bytes.
 */
#include "http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum kind { REQUEST, RESPONSE, RESPONSE_TO_HEAD, RESPONSE_TO_CONNECT };
enum verdict { REFUSED, INCOMPLETE, READ };

#define MESSAGE_MAX (1u << 20)

static void put_u32(uint32_t v)
{
	(void)fwrite(&v, sizeof(v), 1, stdout);
}

static void put_text(const void *p, size_t len)
{
	put_u32((uint32_t)len);
	(void)fwrite(p, 1, len, stdout);
}

static void put_span(const struct http_head *h, struct http_span s)
{
	put_text(http_ptr(h, s), s.len);
}

static void put_verdict(enum verdict v, const char *why)
{
	(void)putchar(v);
	put_text(why, strlen(why));
}

static void put_message(const struct http_parser *p, size_t used,
	const struct buf *body, const struct buf *trailer)
{
	const struct http_head *h = &p->head;

	put_verdict(READ, "");
	put_u32((uint32_t)used);
	put_u32(h->minor);
	put_u32(h->status);
	put_span(h, p->kind == HTTP_REQUEST ? h->method : h->reason);
	put_span(h, p->kind == HTTP_REQUEST ? h->target : (struct http_span){});
	put_text(buf_head(body), buf_len(body));
	put_text(buf_head(trailer), buf_len(trailer));
	put_u32((uint32_t)h->n_fields);
	for (size_t i = 0; i < h->n_fields; i++) {
		put_span(h, h->fields[i].name);
		put_span(h, h->fields[i].value);
	}
}

/* 1 all of the body is there, 0 more is needed, -errno. */
static int read_body(struct http_body *b, const uint8_t *p, size_t len,
	size_t step, size_t *at, struct buf *ret_body)
{
	const uint8_t *data;
	size_t used, n;
	int r = 0;

	do {
		size_t more = MIN(step, len - *at);

		r = http_body_feed(b, p + *at, more, &used, &data, &n);
		if (r < 0)
			return r;
		*at += used;
		if (buf_put(ret_body, data, n) < 0)
			return -ENOBUFS;
	} while (r == 0 && *at < len);
	return r == 0 && http_body_eof(b) == 0 ? 1 : r;
}

static void read_message(
	enum kind kind, const uint8_t *p, size_t len, size_t step)
{
	struct buf body, trailer;
	struct http_parser h;
	struct http_body b;
	size_t at = 0;
	int r = 0;

	buf_init(&body, MESSAGE_MAX);
	buf_init(&trailer, HTTP_TRAILER_MAX);
	http_parser_init(&h, kind == REQUEST ? HTTP_REQUEST : HTTP_RESPONSE);
	h.to_head = kind == RESPONSE_TO_HEAD;
	h.to_connect = kind == RESPONSE_TO_CONNECT;
	step = step ? step : len;
	while (r == 0 && at < len) {
		at = MIN(at + step, len);
		r = http_parse(&h, p, at);
	}
	if (r == 1) {
		http_body_init(&b, &h.head);
		b.trailer = &trailer;
		at = h.head.size;
		r = read_body(&b, p, len, step, &at, &body);
	}
	if (r < 0)
		put_verdict(REFUSED, h.why ? h.why : "malformed body");
	else if (r == 0)
		put_verdict(INCOMPLETE, "");
	else
		put_message(&h, at, &body, &trailer);
	buf_done(&body);
	buf_done(&trailer);
}

int main(void)
{
	static uint8_t message[MESSAGE_MAX];
	uint32_t len;

	while (fread(&len, sizeof(len), 1, stdin) == 1) {
		int kind = getchar(), step = getchar();

		if (len > sizeof(message) || kind < 0 || step < 0 ||
			fread(message, 1, len, stdin) != len)
			return 1;
		read_message((enum kind)kind, message, len, (size_t)step);
	}
	return fflush(stdout) ? 1 : 0;
}
