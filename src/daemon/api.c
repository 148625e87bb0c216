/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/api.h"

#include "daemon/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define QUERY_MAX 4

struct route {
	const char *method;
	const char *path; /* one "*" stands for a name */
	void (*handle)(struct request *rq);
	bool body; /* takes a JSON object */
	const char *query[QUERY_MAX];
};

static const struct route routes[] = {
	{"GET", "/v1/version", api_version},
	{"GET", "/v1/host", api_host},
	{"GET", "/v1/sandboxes", api_list},
	{"POST", "/v1/sandboxes", api_create, .body = true},
	{"GET", "/v1/sandboxes/*", api_get},
	{"DELETE", "/v1/sandboxes/*", api_delete, .query = {"force"}},
	{"POST", "/v1/sandboxes/*/start", api_start},
	{"POST", "/v1/sandboxes/*/stop", api_stop, .body = true},
	{"POST", "/v1/sandboxes/*/exec", api_exec},
	{"GET", "/v1/sandboxes/*/events", api_events},
	{"GET", "/v1/sandboxes/*/logs", api_logs,
		.query = {"source", "follow"}},
	{"GET", "/v1/sandboxes/*/ports", api_ports_get},
	{"POST", "/v1/sandboxes/*/ports", api_ports_change, .body = true},
	{"POST", "/v1/sandboxes/*/ssh-agent", api_ssh_agent, .body = true},
	{"GET", "/v1/templates", api_templates},
	{"POST", "/v1/templates", api_template_make, .body = true},
	{"GET", "/v1/templates/*", api_template_get},
	{"DELETE", "/v1/templates/*", api_template_delete},
	{"GET", "/v1/registries", api_registries},
	{"POST", "/v1/registries", api_registry_login, .body = true},
	{"DELETE", "/v1/registries/*", api_registry_logout},
	{"POST", "/v1/templates/*/save", api_template_save, .body = true},
	{"POST", "/v1/prune", api_prune, .body = true},
	{"POST", "/v1/daemon/stop", api_daemon_stop},
	{"GET", "/v1/policy", api_policy_get, .query = {"sandbox"}},
	{"POST", "/v1/policy/preset", api_policy_preset, .body = true},
	{"POST", "/v1/policy/rules", api_policy_add, .body = true},
	{"DELETE", "/v1/policy/rules", api_policy_remove,
		.query = {"what", "sandbox"}},
	{"POST", "/v1/policy/reset", api_policy_reset, .body = true},
	{"POST", "/v1/policy/check", api_policy_check, .body = true},
	{"GET", "/v1/policy/log", api_policy_log,
		.query = {"sandbox", "follow"}},
	{"GET", "/v1/policy/verify", api_policy_verify, .query = {"sandbox"}},
	{"GET", "/v1/policy/pending", api_ask_pending,
		.query = {"sandbox", "wait"}},
	{"POST", "/v1/policy/answer", api_ask_answer, .body = true},
	{"GET", "/v1/services", api_services},
	{"GET", "/v1/secrets", api_secret_list, .query = {"sandbox"}},
	{"POST", "/v1/secrets", api_secret_set, .body = true},
	{"DELETE", "/v1/secrets/*", api_secret_remove, .query = {"sandbox"}},
};

/* True when path fits; the part in the place of "*" goes to name. */
static bool match(
	const char *pattern, const char *path, char *name, size_t size)
{
	const char *star = strchr(pattern, '*');
	size_t before, len;

	if (!star)
		return streq(pattern, path);
	before = (size_t)(star - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;
	len = strcspn(path + before, "/");
	if (len == 0 || len >= size || !streq(star + 1, path + before + len))
		return false;
	memcpy(name, path + before, len);
	name[len] = '\0';
	return true;
}

static const struct route *find(const struct http_head *h, const char *path,
	char *name, size_t size, bool *ret_known)
{
	*ret_known = false;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!match(routes[i].path, path, name, size))
			continue;
		*ret_known = true;
		if (http_span_is(h, h->method, routes[i].method))
			return &routes[i];
	}
	return NULL;
}

static int read_body(
	const struct route *rt, struct conn *c, json_t **ret, struct err *err)
{
	size_t len = buf_len(&c->body_bytes);
	int r;

	if (len == 0)
		return 0;
	if (!rt->body)
		return err_set(err, EINVAL, "this request takes no body");
	r = json_read(buf_head(&c->body_bytes), len, ret, err);
	if (r == 0 && !json_is_object(*ret))
		r = err_set(err, EINVAL, "the body must be a JSON object");
	return r;
}

static size_t count(const char *const query[QUERY_MAX])
{
	size_t n = 0;

	while (n < QUERY_MAX && query[n])
		n++;
	return n;
}

void api_dispatch(struct conn *c)
{
	const struct http_head *h = &c->parser->head;
	struct request rq = {.c = c, .d = c->d, .head = h};
	_cleanup_json_ json_t *body = NULL;
	char path[API_PATH_MAX];
	const struct route *rt;
	struct err err = {0};
	bool known;

	if (http_path(h, path, sizeof(path)) < 0) {
		conn_error(c, 400, "bad_request", "malformed path");
		return;
	}
	rt = find(h, path, rq.name, sizeof(rq.name), &known);
	if (!rt) {
		conn_error(c, known ? 405 : 404,
			known ? "bad_request" : "not_found",
			known ? "this path does not take that method"
			      : "no such path in this API");
		return;
	}
	if (http_query_only(h, rt->query, count(rt->query)) < 0) {
		conn_error(c, 400, "bad_request", "unknown query parameter");
		return;
	}
	if (read_body(rt, c, &body, &err) < 0) {
		json_decref(body);
		body = NULL;
		conn_fail(c, &err);
		return;
	}
	buf_done(&c->body_bytes);
	rq.body = body;
	rt->handle(&rq);
}

struct sandbox *api_sandbox(struct request *rq)
{
	struct sandbox *sb = sandbox_find(rq->d, rq->name);
	char text[400];

	if (sb)
		return sb;
	(void)snprintf(text, sizeof(text),
		"no sandbox named '%.255s'; see: cove ls", rq->name);
	conn_error(rq->c, 404, "not_found", text);
	return NULL;
}

int api_flag(struct request *rq, const char *name, bool *ret)
{
	char value[8];
	int r = http_query(rq->head, name, value, sizeof(value));

	*ret = r == 1 && (streq(value, "1") || streq(value, "true"));
	if (r == 0 || *ret ||
		(r == 1 && (streq(value, "0") || streq(value, "false"))))
		return 0;
	conn_error(rq->c, 400, "bad_request", "a parameter must be 0 or 1");
	return -EINVAL;
}
