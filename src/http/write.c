/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include "http/chars.h"

#include <errno.h>
#include <string.h>

struct piece {
	const char *p;
	size_t len;
};

/* All pieces or none. */
static int put_pieces(struct buf *b, const struct piece *v, size_t n)
{
	size_t total = 0;
	uint8_t *to;

	for (size_t i = 0; i < n; i++)
		if (!add_ok(total, v[i].len, &total))
			return -ENOBUFS;
	to = buf_reserve(b, total);
	if (!to)
		return -ENOBUFS;
	for (size_t i = 0; i < n; i++) {
		memcpy(to, v[i].p, v[i].len);
		to += v[i].len;
	}
	buf_add(b, total);
	return 0;
}

#define PIECE(s)                   \
	{                          \
		(s), sizeof(s) - 1 \
	}

int http_put_request(struct buf *b, const char *method, const char *target)
{
	size_t m = strlen(method);
	size_t t = strlen(target);
	const struct piece v[] = {
		{method, m}, PIECE(" "), {target, t}, PIECE(" HTTP/1.1\r\n")};

	if (m == 0 || t == 0 || !http_all(method, m, HTTP_C_TOKEN) ||
		!http_all(target, t, HTTP_C_TARGET))
		return -EINVAL;
	return put_pieces(b, v, ARRAY_SIZE(v));
}

int http_put_status(struct buf *b, unsigned status)
{
	if (status < 100 || status > 599)
		return -EINVAL;
	return buf_putf(b, "HTTP/1.1 %u %s\r\n", status, http_reason(status));
}

int http_put_field_n(struct buf *b, const char *name, size_t name_len,
	const char *value, size_t value_len)
{
	const struct piece v[] = {{name, name_len}, PIECE(": "),
		{value, value_len}, PIECE("\r\n")};

	if (name_len == 0 || !http_all(name, name_len, HTTP_C_TOKEN) ||
		!http_all(value, value_len, HTTP_C_VALUE))
		return -EINVAL;
	return put_pieces(b, v, ARRAY_SIZE(v));
}

int http_put_field(struct buf *b, const char *name, const char *value)
{
	return http_put_field_n(b, name, strlen(name), value, strlen(value));
}

int http_put_length(struct buf *b, uint64_t length)
{
	return buf_putf(
		b, "Content-Length: %llu\r\n", (unsigned long long)length);
}

int http_put_end(struct buf *b)
{
	return buf_put(b, "\r\n", 2);
}

int http_put_chunk(struct buf *b, const void *p, size_t len)
{
	char size[20];
	size_t i = sizeof(size);
	size_t n = len;

	if (len == 0)
		return 0;
	size[--i] = '\n';
	size[--i] = '\r';
	for (; n > 0; n >>= 4)
		size[--i] = "0123456789abcdef"[n & 15];
	const struct piece v[] = {{size + i, sizeof(size) - i},
		{(const char *)p, len}, PIECE("\r\n")};
	return put_pieces(b, v, ARRAY_SIZE(v));
}

int http_put_last_chunk(struct buf *b)
{
	return buf_put(b, "0\r\n\r\n", 5);
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *text;
	} table[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{407, "Proxy Authentication Required"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			return table[i].text;
	return "Unknown";
}
