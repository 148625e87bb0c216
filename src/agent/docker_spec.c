/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/docker_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64u

/* For what looks at OpenSSL's variable, and for what has its own. */
static const char *const variables[] = {"SSL_CERT_FILE", "CURL_CA_BUNDLE",
	"GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"};

/* ---- a scanner: positions in a text that ends with NUL, NULL: malformed ---- */

static const char *space(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* p is at the first quote; behind the last one. */
static const char *string(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (!*p)
			return NULL;
	}
	return p + 1;
}

/* Behind the value; brackets are counted, not matched. */
static const char *value(const char *p)
{
	unsigned depth = 0;

	do {
		p = space(p);
		if (*p == '"') {
			p = string(p);
			if (!p)
				return NULL;
		} else if (*p == '{' || *p == '[') {
			if (++depth > DEPTH_MAX)
				return NULL;
			p++;
		} else if (*p == '}' || *p == ']') {
			if (depth-- == 0)
				return NULL;
			p++;
		} else if (*p == ',' || *p == ':') {
			if (depth == 0)
				return NULL;
			p++;
		} else {
			size_t n = strcspn(p, " \t\r\n,:]}[{\"");

			if (n == 0)
				return NULL;
			p += n;
		}
	} while (depth);
	return p;
}

/* The value of a member of the object at p, NULL too when there is none. */
static const char *member(const char *p, const char *key)
{
	size_t len = strlen(key);

	p = space(p);
	if (*p != '{')
		return NULL;
	p = space(p + 1);
	while (p && *p == '"') {
		const char *name = p + 1, *end = string(p);

		if (!end)
			return NULL;
		p = space(end);
		if (*p != ':')
			return NULL;
		p = space(p + 1);
		if ((size_t)(end - 1 - name) == len &&
			memcmp(name, key, len) == 0)
			return p;
		p = value(p);
		if (p)
			p = space(p);
		if (p && *p == ',')
			p = space(p + 1);
	}
	return NULL;
}

/* Calls fn for each value of the array at p; the place of its ']'. */
typedef void element_fn(void *arg, const char *p, const char *end);

static const char *each(const char *p, element_fn *fn, void *arg)
{
	if (*p != '[')
		return NULL;
	p = space(p + 1);
	while (*p != ']') {
		const char *end = value(p);

		if (!end)
			return NULL;
		fn(arg, p, end);
		p = space(end);
		if (*p == ',')
			p = space(p + 1);
		else if (*p != ']')
			return NULL;
	}
	return p;
}

static bool is_string(const char *p, const char *text)
{
	size_t len = strlen(text);

	return p && *p == '"' && strncmp(p + 1, text, len) == 0 &&
		p[1 + len] == '"';
}

/* ---- what is there ---- */

struct found {
	bool set[ARRAY_SIZE(variables)];
	bool any;       /* elements */
	bool dev;       /* /dev is a file system of the container's own */
	bool has_mount; /* it was here before */
};

static void see_variable(void *arg, const char *p, const char *end)
{
	struct found *f = arg;

	f->any = true;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		size_t len = strlen(variables[i]);

		if (*p == '"' && strncmp(p + 1, variables[i], len) == 0 &&
			p[1 + len] == '=')
			f->set[i] = true;
	}
}

static void see_mount(void *arg, const char *p, const char *end)
{
	struct found *f = arg;
	const char *to = member(p, "destination");

	if (is_string(to, "/dev"))
		f->dev = is_string(member(p, "type"), "tmpfs");
	if (is_string(to, DOCKER_TRUST))
		f->has_mount = true;
}

/* ---- what is new ---- */

static int put_variables(struct buf *out, const struct found *f)
{
	bool first = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(variables); i++) {
		if (f->set[i])
			continue;
		r = buf_putf(out, "%s\"%s=" DOCKER_TRUST "\"", first ? "" : ",",
			variables[i]);
		first = false;
	}
	if (r == 0 && !first && f->any)
		r = buf_put(out, ",", 1);
	return r;
}

static int put_mount(struct buf *out, const char *source)
{
	return buf_putf(out,
		",{\"destination\":\"" DOCKER_TRUST "\",\"type\":\"bind\","
		"\"source\":\"%s\",\"options\":[\"bind\",\"ro\",\"nosuid\","
		"\"nodev\",\"noexec\"]}",
		source);
}

/* The text with the variables put in at env and the mount at mounts. */
static int put_all(struct buf *out, const char *json, const char *env,
	const char *mounts, const char *source, const struct found *f)
{
	const char *at = json;
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		/* Whichever comes first. */
		const char *next =
			(i == 0) == (!mounts || env < mounts) ? env : mounts;

		if (!next)
			continue;
		r = buf_put(out, at, (size_t)(next - at));
		at = next;
		if (r == 0)
			r = next == env ? put_variables(out, f)
					: put_mount(out, source);
	}
	return r ? r : buf_put(out, at, strlen(at) + 1);
}

int docker_spec_edit(const char *json, const char *source, struct buf *out)
{
	const char *process = source ? member(json, "process") : json;
	const char *env = process ? member(process, "env") : NULL;
	const char *mounts = source ? member(json, "mounts") : NULL;
	struct found f = {0};

	if (!env || *env != '[' || (source && (!mounts || *mounts != '[')))
		return 0;
	if (!each(env, see_variable, &f))
		return -EBADMSG;
	if (source) {
		mounts = each(mounts, see_mount, &f);
		if (!mounts)
			return -EBADMSG;
		if (!f.dev || f.has_mount || strpbrk(source, "\"\\"))
			return 0;
	}
	return put_all(out, json, env + 1, mounts, source, &f) < 0 ? -ENOBUFS
								   : 1;
}

/* ---- the hook ---- */

struct hook {
	const char *path, *path_end; /* with its quotes */
	const char *args;            /* the first of them */
};

static void see_hook(void *arg, const char *p, const char *end)
{
	struct hook *h = arg;
	const char *path = member(p, "path");
	const char *args = member(p, "args");

	if (h->path || !path || *path != '"' || !args || *args != '[')
		return;
	args = space(args + 1);
	if (!is_string(args, DOCKER_SETKEY))
		return;
	h->path = path;
	h->path_end = string(path);
	h->args = args;
}

int docker_spec_hook(const char *json, struct buf *out)
{
	static const char program[] = "\"/proc/1/exe\"";
	const char *hooks = member(json, "hooks");
	const char *list = hooks ? member(hooks, "prestart") : NULL;
	_cleanup_free_ char *own = NULL;
	struct hook h = {0};
	int r;

	if (!list || !each(list, see_hook, &h) || !h.path)
		return 0;
	own = xasprintf("\"" DOCKER_OWN_SETKEY "\",%.*s,",
		(int)(h.path_end - h.path), h.path);
	if (h.path < h.args)
		r = buf_putf(out, "%.*s%s%.*s%s%s", (int)(h.path - json), json,
			program, (int)(h.args - h.path_end), h.path_end, own,
			h.args);
	else
		r = buf_putf(out, "%.*s%s%.*s%s%s", (int)(h.args - json), json,
			own, (int)(h.path - h.args), h.args, program,
			h.path_end);
	return r < 0 || buf_put(out, "", 1) < 0 ? -ENOBUFS : 1;
}

pid_t docker_spec_pid(const char *json)
{
	const char *p = member(json, "pid");
	size_t n = p ? strspn(p, "0123456789") : 0;

	return n && n < 8 ? (pid_t)strtol(p, NULL, 10) : 0;
}

char *docker_spec_root(const char *json)
{
	const char *root = member(json, "root");
	const char *path = root ? member(root, "path") : NULL;
	const char *end = path && *path == '"' ? string(path) : NULL;

	if (!end || memchr(path, '\\', (size_t)(end - path)))
		return NULL;
	return xstrndup(path + 1, (size_t)(end - path) - 2);
}
