/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of registries: $state/secret/registries, sealed as the secrets
 * are (secrets.h). cove-image is given the one of the registry that it pulls
 * from, on its standard input; the API never tells a password again.
 */
#include "daemon/api.h"

#include "daemon/secrets.h"

#include "base/fd.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define KEPT_NAME "registries"
#define OLD_NAME "registries.json"
#define KEPT_MAX (256u * 1024u)
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

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static int write_all(struct daemon *d, json_t *all, struct err *err)
{
	char *text = json_dumps(all, JSON_COMPACT);
	int r = strlen(text) > KEPT_MAX
		? err_set(err, EFBIG, "too many credentials of registries")
		: secrets_keep(d, KEPT_NAME, text, err);

	wipe(text);
	return r;
}

/* What is stored already is newer. */
static bool add_old(json_t *all, json_t *old)
{
	const char *host;
	json_t *one;

	json_object_foreach (old, host, one)
		if (!json_is_string(json_object_get(one, "user")) ||
			!json_is_string(json_object_get(one, "password")))
			return false;
	return json_is_object(old) && json_object_update_missing(all, old) == 0;
}

/*
 * Before they were sealed, they lay in plain text in $config/registries.json.
 * It goes when they are stored anew, and not before.
 */
static int take_old(struct daemon *d, json_t *all, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/" OLD_NAME, d->paths.config);
	_cleanup_json_ json_t *old = NULL;
	char *text = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD, path, KEPT_MAX, &text);
	bool good = n >= 0 && json_read(text, (size_t)n, &old, NULL) == 0 &&
		add_old(all, old);
	int r;

	wipe(text);
	if (n == -ENOENT)
		return 0;
	if (!good)
		return err_set(err, EINVAL,
			"%s has passwords of registries from an older version, "
			"and cannot be read: remove it, then use cove template "
			"login again",
			path);
	r = write_all(d, all, err);
	if (r == 0 && unlink(path) < 0)
		return err_sys(err, errno, "cannot remove %s", path);
	if (r == 0)
		log_info("registry credentials of %s are sealed now", path);
	return r;
}

static int read_all(struct daemon *d, json_t **ret, struct err *err)
{
	_cleanup_json_ json_t *all = NULL;
	char *text = NULL;
	int r = secrets_kept(d, KEPT_NAME, &text, err);

	if (r == 0 && *text)
		r = json_read(text, strlen(text), &all, err);
	wipe(text);
	if (r == 0 && !all)
		all = json_object();
	r = r ? r : take_old(d, all, err);
	if (r == 0)
		*ret = TAKE_PTR(all);
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
	r = r ? r : read_all(rq->d, &all, &err);
	if (r == 0) {
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
	_cleanup_json_ json_t *all = NULL;
	struct err err = {0};
	int r = read_all(rq->d, &all, &err);

	if (r == 0 && json_object_del(all, real_host(rq->name)) < 0) {
		conn_error(rq->c, 404, "not_found",
			"no credential of that registry is stored");
		return;
	}
	r = r ? r : write_all(rq->d, all, &err);
	if (r < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 204, NULL);
}

void api_registries(struct request *rq)
{
	_cleanup_json_ json_t *all = NULL;
	json_t *list, *one;
	struct err err = {0};
	const char *host;

	if (read_all(rq->d, &all, &err) < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	list = json_array();
	json_object_foreach (all, host, one)
		json_array_append_new(list,
			json_pack("{s:o, s:O?}", "host", json_text(host),
				"user", json_object_get(one, "user")));
	conn_reply(rq->c, 200, json_pack("{s:o}", "registries", list));
}

/*
 * The registry as image/ref.c reads it. Should the two ever differ, the name
 * in the answer differs from the one that is asked, and nothing is sent.
 */
static char *host_of(const char *ref)
{
	const char *s = strncmp(ref, "https://", 8) == 0 ? ref + 8 : ref;
	const char *slash = strchr(s, '/');
	_cleanup_free_ char *host =
		xstrndup(s, slash ? (size_t)(slash - s) : 0);
	bool named = strpbrk(host, ".:") || streq(host, "localhost");

	return xstrdup(real_host(named ? host : "docker.io"));
}

int registry_credential(
	struct daemon *d, const char *ref, char **ret, struct err *err)
{
	_cleanup_json_ json_t *all = NULL, *answer = NULL;
	_cleanup_free_ char *host = host_of(ref);
	json_t *one;
	int r = read_all(d, &all, err);

	if (r < 0)
		return r;
	one = json_object_get(all, host);
	if (one) {
		answer = json_pack("{s:s, s:O?, s:O?}", "host", host, "user",
			json_object_get(one, "user"), "password",
			json_object_get(one, "password"));
		*ret = json_dumps(answer, JSON_COMPACT);
	}
	return 0;
}
