/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/template.h"

#include "cli/api.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define NAME_LEN_MAX 63

char *template_path(const char *name, const char *tail, struct err *err)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_:";
	size_t n = strlen(name);

	if (n == 0 || n > 255 || strspn(name, ok) != n) {
		err_set(err, EINVAL, "'%.80s' is no name of a template", name);
		return NULL;
	}
	return xasprintf("/v1/templates/%s%s", name, tail);
}

/* Without directories and what says how it is packed. */
static size_t stem(const char *base)
{
	static const char *const ends[] = {".tar", ".tar.gz", ".tgz",
		".tar.zst", ".tar.xz", ".txz", ".oci", ".cove"};
	size_t len = strlen(base);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && streq(base + len - n, ends[i]))
			return len - n;
	}
	return len;
}

char *template_name_of(const char *source)
{
	_cleanup_free_ char *copy = xstrdup(source);
	size_t len = strlen(copy), n = 0;
	const char *slash;
	char *name;

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	slash = strrchr(copy, '/');
	slash = slash ? slash + 1 : copy;
	len = MIN(stem(slash), (size_t)NAME_LEN_MAX);
	name = xstrndup(slash, len);
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 0x20);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
			c = '-';
		if (n > 0 || c != '-')
			name[n++] = c;
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	return name;
}

/* "alpine:3" of "docker.io/library/alpine:3@sha256:...": dots become dashes. */
char *template_name_of_image(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	const char *base = slash ? slash + 1 : ref;
	_cleanup_free_ char *bare = xstrndup(base, strcspn(base, "@"));
	size_t n = strcspn(bare, ":");
	_cleanup_free_ char *first = xstrndup(bare, n);
	_cleanup_free_ char *name = template_name_of(first);
	_cleanup_free_ char *tag =
		template_name_of(bare[n] ? bare + n + 1 : "");

	if (!*tag || streq(tag, "latest"))
		return TAKE_PTR(name);
	return xasprintf("%s:%s", name, tag);
}

static int follow(const struct call *call, const char *path, json_t *body,
	json_t **ret, struct err *err)
{
	const struct template_opts *o = call->opts;
	int r = progress_call(
		call->cli, path, body, "template", o->quiet, ret, err);

	json_decref(body);
	return r;
}

int template_make(const struct call *call, const char *from, const char *source,
	const char *name)
{
	return template_make_like(call, from, source, name, "", "");
}

int template_make_like(const struct call *call, const char *from,
	const char *source, const char *name, const char *origin,
	const char *like)
{
	const struct template_opts *o = call->opts;
	json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s}",
		"from", from, "source", source, "name", name, "image",
		o->image ? o->image : "", "root", o->root || *like,
		"skip_devices", o->skip_devices || *like, "origin", origin,
		"like", like);
	struct err err = {0};
	json_t *t = NULL;
	char size[32];

	if (follow(call, "/v1/templates", body, &t, &err) < 0)
		return cli_fail(&err);
	if (o->json)
		text_json(t);
	else
		printf("%s %s %.12s\n", jstr(t, "name"),
			format_size(ju64(t, "size"), size, sizeof(size)),
			jstr(t, "digest"));
	json_decref(t);
	return CLI_OK;
}

/* The directory must exist, the file need not. */
static char *absolute_new(const char *path, struct err *err)
{
	_cleanup_free_ char *dir = xstrdup(path);
	_cleanup_free_ char *real = NULL;
	char *slash = strrchr(dir, '/');
	const char *base = slash ? path + (slash - dir) + 1 : path;

	if (slash)
		slash[slash == dir] = '\0';
	real = realpath(slash ? dir : ".", NULL);
	if (!real || !*base) {
		err_sys(err, real ? EISDIR : errno, "%s", path);
		return NULL;
	}
	return xasprintf("%s/%s", streq(real, "/") ? "" : real, base);
}

int template_save(const struct call *call)
{
	const struct template_opts *o = call->opts;
	struct err err = {0};
	_cleanup_free_ char *api_path = NULL, *file = NULL;
	json_t *t = NULL;

	if (!o->output && call->argc == 3)
		return template_save_sandbox(call);
	if (!o->output || call->argc != 2)
		return cli_usage(call->cli,
			"template save takes SANDBOX NAME, or -o FILE NAME");
	api_path = template_path(call->argv[1], "/save", &err);
	file = api_path ? absolute_new(o->output, &err) : NULL;
	if (!file ||
		follow(call, api_path, json_pack("{s:s}", "path", file), &t,
			&err) < 0)
		return cli_fail(&err);
	if (o->json)
		text_json(t);
	json_decref(t);
	return CLI_OK;
}
