/* SPDX-License-Identifier: Apache-2.0 */
#include "image/ref.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HUB "registry-1.docker.io"
#define WORD "abcdefghijklmnopqrstuvwxyz0123456789"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_host(const char *s, size_t len)
{
	return memchr(s, '.', len) || memchr(s, ':', len) ||
		(len == 9 && strncmp(s, "localhost", 9) == 0);
}

bool image_ref_loopback(const char *host)
{
	size_t n;

	if (strncmp(host, "[::1]", 5) == 0)
		return host[5] == '\0' || host[5] == ':';
	n = strcspn(host, ":");
	if (n == 9 && strncmp(host, "localhost", 9) == 0)
		return true;
	return strncmp(host, "127.", 4) == 0 &&
		strspn(host, "0123456789.") == n;
}

static int bad(const char *text, const char *why, struct err *err)
{
	return err_set(
		err, EINVAL, "'%.100s' is no image reference: %s", text, why);
}

static int take(
	char *dst, size_t size, const char *s, size_t len, const char *allowed)
{
	if (len == 0 || len >= size || strspn(s, allowed) < len)
		return -EINVAL;
	memcpy(dst, s, len);
	dst[len] = '\0';
	return 0;
}

/* Off the end: "@sha256:..." and then ":tag". */
static int take_tail(const char *text, const char *s, size_t *len,
	struct image_ref *ret, struct err *err)
{
	const char *at = memchr(s, '@', *len), *colon;

	if (at && !oci_digest(at + 1, ret->hex))
		return bad(text, "the digest must be sha256 and 64 hex", err);
	*len = at ? (size_t)(at - s) : *len;
	colon = memrchr(s, ':', *len);
	memcpy(ret->tag, "latest", 7);
	if (!colon)
		return 0;
	if (take(ret->tag, sizeof(ret->tag), colon + 1,
		    *len - (size_t)(colon + 1 - s), WORD UPPER "._-") < 0 ||
		strchr(".-", ret->tag[0]))
		return bad(text, "the tag", err);
	*len = (size_t)(colon - s);
	return 0;
}

int image_ref_parse(const char *text, struct image_ref *ret, struct err *err)
{
	const char *s = text, *slash;
	bool https = strncmp(s, "https://", 8) == 0;
	size_t len;
	int r;

	memset(ret, 0, sizeof(*ret));
	s += https ? 8 : 0;
	slash = strchr(s, '/');
	len = slash ? (size_t)(slash - s) : 0;
	memcpy(ret->host, HUB, sizeof(HUB));
	if (slash && is_host(s, len)) {
		if (take(ret->host, sizeof(ret->host), s, len,
			    WORD UPPER ".-:[]") < 0)
			return bad(text, "the registry", err);
		s = slash + 1;
	}
	if (streq(ret->host, "docker.io") ||
		streq(ret->host, "index.docker.io"))
		memcpy(ret->host, HUB, sizeof(HUB));
	len = strlen(s);
	r = take_tail(text, s, &len, ret, err);
	if (r < 0)
		return r;
	if (take(ret->repo, sizeof(ret->repo), s, len, WORD "._/-") < 0 ||
		ret->repo[0] == '/' || strstr(ret->repo, "..") ||
		strstr(ret->repo, "//") || ret->repo[len - 1] == '/')
		return bad(text, "names are of a-z 0-9 . _ - and / in between",
			err);
	if (streq(ret->host, HUB) && !strchr(ret->repo, '/')) {
		if (len + 8 >= sizeof(ret->repo))
			return bad(text, "it is too long", err);
		memmove(ret->repo + 8, ret->repo, len + 1);
		memcpy(ret->repo, "library/", 8);
	}
	ret->http = !https && image_ref_loopback(ret->host);
	return 0;
}
