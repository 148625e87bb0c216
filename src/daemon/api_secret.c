/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: set, list, remove; docs/secrets.md. Values go in, never out. */
#include "daemon/api.h"

#include "daemon/secrets.h"
#include "daemon/services.h"

#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct secret_body {
	char *name;
	char *value;
	char *sandbox;
	char *header;
	char *placeholder;
	json_t *hosts;
	json_t *env;
};

static const struct field secret_fields[] = {
	{"name", FIELD_STR, offsetof(struct secret_body, name), 1, 64,
		.required = true},
	{"value", FIELD_STR, offsetof(struct secret_body, value), 1,
		SECRET_VALUE_MAX, .required = true},
	{"sandbox", FIELD_STR, offsetof(struct secret_body, sandbox), 0, 255},
	{"header", FIELD_STR, offsetof(struct secret_body, header), 0, 128},
	{"placeholder", FIELD_STR, offsetof(struct secret_body, placeholder), 0,
		128},
	{"hosts", FIELD_JSON, offsetof(struct secret_body, hosts),
		.json = JSON_ARRAY},
	{"env", FIELD_JSON, offsetof(struct secret_body, env),
		.json = JSON_ARRAY},
};

static void body_done(struct secret_body *b)
{
	if (b->value)
		explicit_bzero(b->value, strlen(b->value));
	free(b->value);
	free(b->name);
	free(b->sandbox);
	free(b->header);
	free(b->placeholder);
}

/* What may stand in a field of HTTP: no line can be ended early with it. */
static int check_text(const char *what, const char *s, struct err *err)
{
	for (; *s; s++)
		if (*s < 0x20 || *s == 0x7f)
			return err_set(err, EINVAL,
				"the %s has a control character or a line "
				"break",
				what);
	return 0;
}

static int check_name(const char *s, struct err *err)
{
	if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s))
		return 0;
	return err_set(err, EINVAL,
		"a secret's name has lower-case letters, digits and '-'");
}

static int take_strings(json_t *list, const char **dst, size_t max, size_t *ret,
	const char *what, struct err *err)
{
	size_t n = json_array_size(list);

	if (n == 0 || n > max)
		return err_set(err, EINVAL, "1 to %zu %s", max, what);
	for (size_t i = 0; i < n; i++) {
		dst[i] = json_string_value(json_array_get(list, i));
		if (!dst[i])
			return err_set(err, EINVAL, "%s must be strings", what);
	}
	*ret = n;
	return 0;
}

static int check_variable(const char *s, struct err *err)
{
	size_t n = strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
		"0123456789");

	if (n > 0 && n < 128 && !s[n] && (*s < '0' || *s > '9'))
		return 0;
	return err_set(err, EINVAL, "'%.40s' is no name of a variable", s);
}

static int check_custom(const struct secret_spec *s, struct err *err)
{
	struct policy_target t;
	int r = 0;

	for (size_t i = 0; i < s->n_hosts && r == 0; i++) {
		r = policy_target_parse(s->hosts[i], &t, err);
		if (r == 0 && t.kind != TARGET_NAME &&
			t.kind != TARGET_ONE_LABEL && t.kind != TARGET_SUBTREE)
			r = err_set(err, EINVAL,
				"a secret's host is a name, such as "
				"api.example.com or *.example.com");
	}
	for (size_t i = 0; i < s->n_env && r == 0; i++)
		r = check_variable(s->env[i], err);
	return r;
}

/* Anything that a tool would take, and that nothing else looks like. */
static int set_custom(struct secret_body *b, struct secret_spec *s, char **use,
	char **placeholder, struct err *err)
{
	int r = take_strings(b->hosts, s->hosts, SECRET_HOSTS_MAX, &s->n_hosts,
		"hosts", err);

	r = r ? r
	      : take_strings(b->env, s->env, SECRET_ENV_MAX, &s->n_env,
			"variables", err);
	r = r ? r : check_custom(s, err);
	if (r < 0)
		return r;
	*use = b->header && *b->header ? xasprintf("%s: *", b->header)
				       : xstrdup("*: *");
	if (b->header && strpbrk(b->header, ": \t"))
		return err_set(err, EINVAL, "a header is named without ':'");
	*placeholder = b->placeholder && *b->placeholder
		? xstrdup(b->placeholder)
		: xasprintf("cove-secret-%s", s->name);
	if (strlen(*placeholder) < 8)
		return err_set(
			err, EINVAL, "a placeholder has at least 8 characters");
	s->uses[s->n_uses++] = *use;
	s->custom = true;
	return check_text("placeholder", *placeholder, err);
}

static int set_service(const struct service *list, size_t n,
	struct secret_spec *s, char **placeholder, struct err *err)
{
	size_t i = 0;

	while (i < n && !streq(list[i].name, s->name))
		i++;
	if (i == n)
		return err_set(err, ENOENT,
			"no service '%.40s' is known; see: cove secret ls "
			"--services, or use: cove secret set-custom",
			s->name);
	s->n_env = MIN(list[i].n_env, (size_t)SECRET_ENV_MAX);
	memcpy(s->env, list[i].env, s->n_env * sizeof(*s->env));
	s->n_hosts = list[i].n_hosts;
	memcpy(s->hosts, list[i].hosts, s->n_hosts * sizeof(*s->hosts));
	s->n_uses = list[i].n_uses;
	memcpy(s->uses, list[i].uses, s->n_uses * sizeof(*s->uses));
	*placeholder = xasprintf("cove-secret-%s", s->name);
	return 0;
}

void api_secret_set(struct request *rq)
{
	_cleanup_(body_done) struct secret_body b = {0};
	_cleanup_free_ char *placeholder = NULL, *use = NULL;
	_cleanup_json_ json_t *none = json_object();
	struct service *list = NULL;
	struct secret_spec s = {0};
	struct sandbox *sb = NULL;
	struct err err = {0};
	size_t n = 0;
	int r = fields_read(rq->body ? rq->body : none, secret_fields,
		ARRAY_SIZE(secret_fields), &b, &err);

	s.name = b.name;
	s.value = b.value;
	r = r ? r : check_name(b.name, &err);
	r = r ? r : check_text("value", b.value, &err);
	r = r ? r : services_parse(services_text, &list, &n, &err);
	if (r == 0)
		r = b.hosts ? set_custom(&b, &s, &use, &placeholder, &err)
			    : set_service(list, n, &s, &placeholder, &err);
	s.placeholder = placeholder;
	if (r == 0 && api_scope(rq, b.sandbox, &sb) < 0) {
		services_free(list, n);
		return;
	}
	r = r ? r : secrets_set(rq->d, sb, &s, &err);
	if (r < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200,
			json_pack("{s:s, s:s, s:s}", "name", s.name,
				"placeholder", placeholder, "sandbox",
				sb ? sb->row.name : ""));
	services_free(list, n);
}

void api_secret_list(struct request *rq)
{
	struct sandbox *sb;
	struct err err = {0};
	json_t *list;

	if (api_query_scope(rq, &sb) < 0)
		return;
	if (secrets_list(rq->d, sb, &list, &err) < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200, json_pack("{s:o}", "secrets", list));
}

void api_secret_remove(struct request *rq)
{
	struct sandbox *sb;
	struct err err = {0};

	if (api_query_scope(rq, &sb) < 0)
		return;
	if (secrets_remove(rq->d, sb, rq->name, &err) < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200, json_object());
}

static json_t *strings(char *const *list, size_t n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_string(list[i]));
	return a;
}

void api_services(struct request *rq)
{
	struct service *list = NULL;
	struct err err = {0};
	json_t *out;
	size_t n;

	if (services_parse(services_text, &list, &n, &err) < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(out,
			json_pack("{s:s, s:o, s:o}", "name", list[i].name,
				"env", strings(list[i].env, list[i].n_env),
				"hosts",
				strings(list[i].hosts, list[i].n_hosts)));
	services_free(list, n);
	conn_reply(rq->c, 200, json_pack("{s:o}", "services", out));
}
