/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of registries: $config/registries.json, mode 0600, as the
 * person gave them. cove-image reads the one of the registry it pulls from;
 * the API never tells a password again.
 */
#include "daemon/api.h"

#include "daemon/cache.h"

#include "base/fd.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FILE_MAX (256u * 1024u)
#define HOST_MAX 255u
#define TEXT_MAX 8192u

struct login {
	char *host;
	char *user;
	char *password;
};

static const struct field login_fields[] = {
	{"host", FIELD_STR, offsetof(struct login, host), 1, HOST_MAX,
		.required = true},
	{"user", FIELD_STR, offsetof(struct login, user), 1, 255,
		.required = true},
	{"password", FIELD_STR, offsetof(struct login, password), 1, TEXT_MAX,
		.required = true},
};

static void login_done(struct login *l)
{
	if (l->password)
		explicit_bzero(l->password, strlen(l->password));
	free(l->host);
	free(l->user);
	free(l->password);
}

static char *file_path(const struct daemon *d)
{
	return xasprintf("%s/registries.json", d->paths.config);
}

static json_t *read_all(const struct daemon *d)
{
	_cleanup_free_ char *path = file_path(d);
	_cleanup_free_ char *text = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD, path, FILE_MAX, &text);
	json_t *all = NULL;

	if (n > 0 && json_read(text, (size_t)n, &all, NULL) == 0 &&
		json_is_object(all))
		return all;
	json_decref(all);
	return json_object();
}

static int write_all(const struct daemon *d, json_t *all, struct err *err)
{
	_cleanup_free_ char *path = file_path(d);
	_cleanup_free_ char *text = json_dumps(all, JSON_INDENT(2));
	int r = paths_make(d->paths.config, err);

	if (r == 0 && strlen(text) > FILE_MAX)
		return err_set(err, EFBIG, "%s would be too large", path);
	if (r == 0)
		r = fd_replace_at(AT_FDCWD, path, text, strlen(text), 0600);
	if (r < 0 && !err->code)
		return err_sys(err, -r, "cannot write %s", path);
	return r;
}

/* cove-image looks it up as it stands in an image's name. */
static int check(const struct login *l, struct err *err)
{
	for (const char *c = l->host; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-:[]", *c))
			return err_set(err, EINVAL,
				"'%.80s' is no registry: HOST or HOST:PORT, "
				"without https:// and without a path",
				l->host);
	if (strchr(l->user, ':'))
		return err_set(err, EINVAL, "a user cannot have a ':'");
	return 0;
}

/* Docker's registry has a name that nobody types. */
static const char *real_host(const char *host)
{
	return streq(host, "docker.io") || streq(host, "index.docker.io")
		? "registry-1.docker.io"
		: host;
}

void api_registry_login(struct request *rq)
{
	_cleanup_(login_done) struct login l = {0};
	_cleanup_json_ json_t *none = json_object();
	_cleanup_json_ json_t *all = NULL;
	struct err err = {0};
	int r = fields_read(rq->body ? rq->body : none, login_fields,
		ARRAY_SIZE(login_fields), &l, &err);

	if (r == 0)
		r = check(&l, &err);
	if (r == 0) {
		all = read_all(rq->d);
		json_object_set_new(all, real_host(l.host),
			json_pack("{s:o, s:o}", "user", json_text(l.user),
				"password", json_text(l.password)));
		r = write_all(rq->d, all, &err);
	}
	if (r < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	log_info("registry credential stored host=%s", l.host);
	conn_reply(rq->c, 204, NULL);
}

void api_registry_logout(struct request *rq)
{
	_cleanup_json_ json_t *all = read_all(rq->d);
	struct err err = {0};

	if (json_object_del(all, real_host(rq->name)) < 0) {
		conn_error(rq->c, 404, "not_found",
			"no credential of that registry is stored");
		return;
	}
	if (write_all(rq->d, all, &err) < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 204, NULL);
}

void api_registries(struct request *rq)
{
	_cleanup_json_ json_t *all = read_all(rq->d);
	json_t *list = json_array(), *one;
	const char *host;

	json_object_foreach (all, host, one)
		json_array_append_new(list,
			json_pack("{s:o, s:O?}", "host", json_text(host),
				"user", json_object_get(one, "user")));
	conn_reply(rq->c, 200, json_pack("{s:o}", "registries", list));
}
