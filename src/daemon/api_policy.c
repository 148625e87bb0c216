/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the network and its log; docs/network.md. */
#include "daemon/api.h"

#include "daemon/policies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TARGETS_MAX 256u

/* The sandbox of a body or a query; 1 none was named, -1 answered 404. */
int api_scope(struct request *rq, const char *name, struct sandbox **ret)
{
	char text[400];

	*ret = NULL;
	if (!name || !*name)
		return 1;
	*ret = sandbox_find(rq->d, name);
	if (*ret)
		return 0;
	(void)snprintf(text, sizeof(text),
		"no sandbox named '%.255s'; see: cove ls", name);
	conn_error(rq->c, 404, "not_found", text);
	return -1;
}

int api_query_scope(struct request *rq, struct sandbox **ret)
{
	char name[256] = "";

	if (http_query(rq->head, "sandbox", name, sizeof(name)) < 0) {
		conn_error(rq->c, 400, "bad_request", "bad sandbox name");
		return -1;
	}
	return api_scope(rq, name, ret);
}

static json_t *rule_json(
	const struct policy_rule *r, const char *source, const char *sandbox)
{
	char target[NAME_MAX_LEN + 32], line[POLICY_LINE_MAX];
	json_t *methods = json_array();

	for (uint8_t i = 0; i < r->n_methods; i++)
		json_array_append_new(methods, json_string(r->methods[i]));
	policy_rule_format(r, line, sizeof(line));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:s,"
			 " s:s, s:s}",
		"id", r->id, "action", r->allow ? "allow" : "deny", "target",
		policy_target_format(&r->target, target, sizeof(target)),
		"protocol", r->udp ? "udp" : "tcp", "path", r->path, "methods",
		methods, "rate_up", (json_int_t)r->rate_up, "rate_down",
		(json_int_t)r->rate_down, "quota", (json_int_t)r->quota,
		"source", source, "sandbox", sandbox, "text", line);
}

void api_policy_get(struct request *rq)
{
	_cleanup_(policies_done) struct policies p = {0};
	struct sandbox *sb;
	struct err err = {0};
	json_t *list;

	if (api_query_scope(rq, &sb) < 0)
		return;
	if (policies_all(rq->d, sb, &p, &err) < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < p.n; i++) {
		bool preset = i < p.n_preset;
		bool own = i >= p.n_preset + p.n_global;
		bool session = i >= p.n - p.n_session;

		json_array_append_new(list,
			rule_json(&p.rules[i],
				session          ? "session"
					: preset ? "preset"
					: own    ? "sandbox"
						 : "global",
				own ? sb->row.name : ""));
	}
	conn_reply(rq->c, 200,
		json_pack("{s:s, s:o}", "preset", policies_preset(rq->d),
			"rules", list));
}

struct rules_body {
	bool allow;
	bool udp;
	char *sandbox;
	char *methods;
	char *path;
	uint64_t rate_up, rate_down;
	uint64_t quota;
	json_t *targets;
};

static const struct field rules_fields[] = {
	{"allow", FIELD_BOOL, offsetof(struct rules_body, allow),
		.required = true},
	{"udp", FIELD_BOOL, offsetof(struct rules_body, udp)},
	{"sandbox", FIELD_STR, offsetof(struct rules_body, sandbox), 0, 255},
	{"methods", FIELD_STR, offsetof(struct rules_body, methods), 0, 255},
	{"path", FIELD_STR, offsetof(struct rules_body, path), 0, 511},
	{"rate_up", FIELD_U64, offsetof(struct rules_body, rate_up), 0,
		INT64_MAX},
	{"rate_down", FIELD_U64, offsetof(struct rules_body, rate_down), 0,
		INT64_MAX},
	{"quota", FIELD_U64, offsetof(struct rules_body, quota), 0, INT64_MAX},
	{"targets", FIELD_JSON, offsetof(struct rules_body, targets),
		.required = true, .json = JSON_ARRAY},
};

static void rules_body_done(struct rules_body *b)
{
	free(b->sandbox);
	free(b->methods);
	free(b->path);
}

static int make_rule(const struct rules_body *b, const char *target,
	struct policy_rule *ret, struct err *err)
{
	struct policy_rule r = {.allow = b->allow,
		.udp = b->udp,
		.rate_up = b->rate_up,
		.rate_down = b->rate_down,
		.quota = b->quota};
	int rc = policy_target_parse(target, &r.target, err);

	if (rc == 0 && b->methods && *b->methods)
		rc = policy_methods_parse(b->methods, &r, err);
	if (rc == 0 && b->path && *b->path)
		rc = policy_path_parse(b->path, &r, err);
	if (rc == 0 && r.udp && (r.n_methods || r.path[0]))
		rc = err_set(err, EINVAL, "udp has no method or path");
	if (rc == 0 && !r.allow && (r.rate_up || r.rate_down || r.quota))
		rc = err_set(err, EINVAL, "only allow has a rate or a quota");
	if (rc == 0)
		*ret = r;
	return rc;
}

static int make_rules(const struct rules_body *b, struct policy_rule *rules,
	size_t n, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const char *t =
			json_string_value(json_array_get(b->targets, i));

		r = t ? make_rule(b, t, &rules[i], err)
		      : err_set(err, EINVAL, "a target must be a string");
	}
	return r;
}

void api_policy_add(struct request *rq)
{
	_cleanup_(rules_body_done) struct rules_body b = {0};
	_cleanup_free_ struct policy_rule *rules = NULL;
	_cleanup_json_ json_t *none = json_object();
	struct sandbox *sb;
	struct err err = {0};
	json_t *list;
	size_t n;
	int r;

	r = fields_read(rq->body ? rq->body : none, rules_fields,
		ARRAY_SIZE(rules_fields), &b, &err);
	n = r == 0 ? json_array_size(b.targets) : 0;
	if (r == 0 && (n == 0 || n > TARGETS_MAX))
		r = err_set(&err, EINVAL, "1 to %u targets", TARGETS_MAX);
	rules = xcalloc(n + 1, sizeof(*rules));
	r = r ? r : make_rules(&b, rules, n, &err);
	if (r == 0 && api_scope(rq, b.sandbox, &sb) < 0)
		return;
	r = r ? r : policies_add(rq->d, sb, rules, n, &err);
	if (r < 0) {
		conn_fail(rq->c, &err);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
			rule_json(&rules[i], sb ? "sandbox" : "global",
				sb ? sb->row.name : ""));
	conn_reply(rq->c, 200, json_pack("{s:o}", "rules", list));
}

/* An id is unique, so it is found wherever the rule is kept. */
static int remove_rule(struct daemon *d, struct sandbox *sb, const char *what,
	unsigned *ret_n, struct err *err)
{
	int r = policies_remove(d, sb, what, ret_n, err);

	if (r != -ENOENT || sb)
		return r;
	list_for_each (it, &d->sandboxes) {
		struct sandbox *one = list_entry(it, struct sandbox, link);

		if (policies_has_id(d, one, what))
			return policies_remove(d, one, what, ret_n, err);
	}
	return r;
}

void api_policy_remove(struct request *rq)
{
	char what[NAME_MAX_LEN + 32] = "";
	struct sandbox *sb;
	struct err err = {0};
	unsigned n;

	if (http_query(rq->head, "what", what, sizeof(what)) != 1) {
		conn_error(rq->c, 400, "bad_request", "'what' is missing");
		return;
	}
	if (api_query_scope(rq, &sb) < 0)
		return;
	if (remove_rule(rq->d, sb, what, &n, &err) < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200, json_pack("{s:i}", "removed", (int)n));
}

void api_policy_preset(struct request *rq)
{
	struct {
		char *preset;
	} b = {NULL};
	static const struct field fields[] = {
		{"preset", FIELD_STR, 0, 1, 32, .required = true}};
	_cleanup_json_ json_t *none = json_object();
	struct err err = {0};
	int r = fields_read(rq->body ? rq->body : none, fields, 1, &b, &err);

	r = r ? r : policies_set_preset(rq->d, b.preset, &err);
	free(b.preset);
	if (r < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200,
			json_pack("{s:s}", "preset", policies_preset(rq->d)));
}

void api_policy_reset(struct request *rq)
{
	struct err err = {0};

	if (policies_reset(rq->d, &err) < 0)
		conn_fail(rq->c, &err);
	else
		conn_reply(rq->c, 200, json_object());
}

struct check_body {
	char *target;
	char *sandbox;
	bool udp;
};

static const struct field check_fields[] = {
	{"target", FIELD_STR, offsetof(struct check_body, target), 1, 300,
		.required = true},
	{"sandbox", FIELD_STR, offsetof(struct check_body, sandbox), 0, 255},
	{"udp", FIELD_BOOL, offsetof(struct check_body, udp)},
};

/* What a connection to the target would ask; the code is the gate's own. */
static struct policy_answer ask(const struct policy *p,
	const struct policy_target *t, const char *sandbox, bool udp)
{
	struct hostname host;
	struct policy_question q = {
		.sandbox = sandbox,
		.proto = udp ? POLICY_UDP : POLICY_TCP,
		.port = t->port_lo ? t->port_lo : 443,
	};
	struct policy_answer a, dial;

	if (t->kind == TARGET_HOST) {
		(void)name_parse(
			POLICY_HOST_NAME, strlen(POLICY_HOST_NAME), &host);
		q.name = &host;
	} else if (t->kind == TARGET_NAME) {
		q.name = &t->name;
	} else {
		q.addr = &t->addr;
	}
	a = policy_ask(p, &q);
	if (a.verdict == POLICY_DENY || !q.addr)
		return a;
	dial = policy_ask_dial(p, &q, &t->addr);
	return dial.verdict == POLICY_DENY ? dial : a;
}

static int parse_check(
	const char *text, struct policy_target *ret, struct err *err)
{
	int r = policy_target_parse(text, ret, err);

	if (r < 0)
		return r;
	if ((ret->kind != TARGET_NAME && ret->kind != TARGET_HOST &&
		    !(ret->kind == TARGET_CIDR && ret->bits == 128)) ||
		ret->port_lo != (ret->port_lo ? ret->port_hi : 0))
		return err_set(err, EINVAL,
			"'%.80s' is a pattern; check one name or address, "
			"with one port or none (443)",
			text);
	return 0;
}

void api_policy_check(struct request *rq)
{
	static const char *const words[] = {"deny", "allow", "open"};
	_cleanup_(policies_done) struct policies p = {0};
	_cleanup_json_ json_t *none = json_object();
	struct check_body b = {0};
	struct policy_target t;
	struct policy_answer a;
	struct sandbox *sb = NULL;
	struct err err = {0};
	int r;

	r = fields_read(rq->body ? rq->body : none, check_fields,
		ARRAY_SIZE(check_fields), &b, &err);
	r = r ? r : parse_check(b.target, &t, &err);
	if (r == 0 && api_scope(rq, b.sandbox, &sb) < 0) {
		free(b.target);
		free(b.sandbox);
		return;
	}
	r = r ? r : policies_all(rq->d, sb, &p, &err);
	if (r < 0) {
		conn_fail(rq->c, &err);
	} else {
		a = ask(&(struct policy){p.rules, p.n}, &t,
			sb ? sb->row.name : NULL, b.udp);
		conn_reply(rq->c, 200,
			json_pack("{s:s, s:s, s:s, s:i}", "target", b.target,
				"verdict", words[a.verdict], "rule",
				a.rule ? a.rule->id : "", "port",
				t.port_lo ? t.port_lo : 443));
	}
	free(b.target);
	free(b.sandbox);
}
