/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/sni.h"

#include <string.h>

#define RECORD_HEAD 5u
#define RECORD_MAX (16384u + 256u)
#define HANDSHAKE 22u
#define CLIENT_HELLO 1u
#define EXT_SERVER_NAME 0u
#define EXT_ALPN 16u
#define NAME_HOST 0u

/* A bounded reader: after the first overrun everything reads as zero. */
struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static uint32_t take(struct reader *r, unsigned bytes)
{
	uint32_t v = 0;

	if (r->left < bytes) {
		r->bad = true;
		r->left = 0;
		return 0;
	}
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | r->p[i];
	r->p += bytes;
	r->left -= bytes;
	return v;
}

/* A vector with a length prefix of that many bytes. */
static struct reader vector(struct reader *r, unsigned prefix)
{
	uint32_t len = take(r, prefix);
	struct reader v = {r->p, len, false};

	if (r->left < len) {
		r->bad = true;
		return (struct reader){r->p, 0, true};
	}
	r->p += len;
	r->left -= len;
	return v;
}

static enum sni_result server_name(struct reader ext, struct hostname *ret)
{
	struct reader list = vector(&ext, 2);
	struct reader name;

	if (take(&list, 1) != NAME_HOST)
		return SNI_BAD;
	name = vector(&list, 2);
	/* One name exactly: which of two would the server take? */
	if (ext.bad || list.bad || ext.left || list.left)
		return SNI_BAD;
	if (name_parse((const char *)name.p, name.left, ret) < 0)
		return SNI_BAD;
	return SNI_NAME;
}

static bool is_http(struct reader name)
{
	return (name.left == 2 && memcmp(name.p, "h2", 2) == 0) ||
		(name.left == 8 && memcmp(name.p, "http/1.1", 8) == 0);
}

/* False when the extension is broken. */
static bool protocols(struct reader ext, bool *ret_alien)
{
	struct reader list = vector(&ext, 2);
	bool http = false;

	while (list.left && !list.bad) {
		struct reader name = vector(&list, 1);

		http = http || is_http(name);
	}
	*ret_alien = !http;
	return !ext.bad && !ext.left && !list.bad;
}

static enum sni_result hello(
	struct reader r, struct hostname *ret, bool *ret_alien)
{
	enum sni_result found = SNI_NONE;
	bool alien = false, alpn = false;
	struct reader exts;

	(void)take(&r, 2); /* legacy_version */
	for (int i = 0; i < 8; i++)
		(void)take(&r, 4); /* random */
	(void)vector(&r, 1);       /* session id */
	(void)vector(&r, 2);       /* cipher suites */
	(void)vector(&r, 1);       /* compression */
	*ret_alien = false;
	if (!r.bad && r.left == 0)
		return SNI_NONE;
	exts = vector(&r, 2);
	if (r.bad || r.left)
		return SNI_BAD;
	while (exts.left && !exts.bad) {
		uint32_t type = take(&exts, 2);
		struct reader ext = vector(&exts, 2);

		if (type == EXT_ALPN) {
			if (alpn || !protocols(ext, &alien))
				return SNI_BAD;
			alpn = true;
		}
		if (type != EXT_SERVER_NAME)
			continue;
		if (found != SNI_NONE)
			return SNI_BAD;
		found = server_name(ext, ret);
	}
	*ret_alien = alien;
	return exts.bad ? SNI_BAD : found;
}

/* The handshake message may be cut into records anywhere: joined first. */
static enum sni_result join(
	const uint8_t *p, size_t len, uint8_t *out, size_t *ret_len)
{
	size_t n = 0;

	while (len >= RECORD_HEAD) {
		size_t body = (size_t)p[3] << 8 | p[4];
		size_t have = MIN(body, len - RECORD_HEAD);

		if (p[0] != HANDSHAKE || p[1] != 3 || body == 0 ||
			body > RECORD_MAX)
			return n == 0 ? SNI_NOT_TLS : SNI_BAD;
		if (n + have > SNI_PEEK_MAX)
			return SNI_BAD;
		memcpy(out + n, p + RECORD_HEAD, have);
		n += have;
		if (n >= 4 &&
			n - 4 >= ((size_t)out[1] << 16 | (size_t)out[2] << 8 |
					 out[3]))
			break;
		if (have < body)
			break;
		p += RECORD_HEAD + body;
		len -= RECORD_HEAD + body;
	}
	*ret_len = n;
	return SNI_MORE;
}

enum sni_result sni_parse(
	const uint8_t *p, size_t len, struct hostname *ret, bool *ret_alien)
{
	uint8_t msg[SNI_PEEK_MAX];
	struct reader r = {msg, 0, false};
	struct reader body;
	enum sni_result res;

	if (len > 0 && p[0] != HANDSHAKE)
		return SNI_NOT_TLS;
	res = join(p, len, msg, &r.left);
	if (res != SNI_MORE)
		return res;
	if (r.left > 0 && msg[0] != CLIENT_HELLO)
		return SNI_BAD;
	if (r.left < 4 ||
		r.left - 4 <
			((size_t)msg[1] << 16 | (size_t)msg[2] << 8 | msg[3]))
		return len >= SNI_PEEK_MAX ? SNI_BAD : SNI_MORE;
	(void)take(&r, 1);
	body = vector(&r, 3);
	return hello(body, ret, ret_alien);
}
