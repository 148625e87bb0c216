/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict on one request of an opened stream. */
#include "gate/request.h"

#include "gate/judge.h"
#include "gate/open.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 4096u

/* RFC 9112 section 3.2: the authority may carry a port. */
static bool host_fits(const struct stream *s, const char *p, size_t len)
{
	const char *colon = memrchr(p, ':', len);
	struct address addr;
	struct hostname n;
	size_t digits = 0;

	while (colon && colon + 1 + digits < p + len &&
		colon[1 + digits] >= '0' && colon[1 + digits] <= '9')
		digits++;
	if (colon && colon + 1 + digits == p + len &&
		(p[0] != '[' || colon[-1] == ']'))
		len = (size_t)(colon - p);
	if (s->by_name)
		return name_parse(p, len, &n) == 0 && name_equal(&n, &s->name);
	return address_parse(p, len, &addr) == 0 &&
		memcmp(addr.b, s->addr.b, sizeof(addr.b)) == 0;
}

/* Logs it and keeps what the answer says; always false. */
static bool refuse(struct stream *s, uint16_t status, const char *reason)
{
	s->g->count.denied++;
	s->status = status;
	(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	stream_note(s, status == 403 ? "deny" : "error", reason);
	return false;
}

static struct policy_answer ask(
	const struct stream *s, const char *method, const char *path)
{
	struct policy_question q = judge_question(s);

	q.method = method;
	q.path = path;
	return policy_ask(&s->g->policy, &q);
}

/* Path without query, decoded; a path that can be read in two ways is not. */
static int plain_path(const struct request *r, char *dst, size_t size)
{
	const struct http_head h = {.base = r->target,
		.target = {0, (uint32_t)r->target_len},
		.form = HTTP_FORM_ORIGIN};
	int e;

	if (r->target_len == 1 && r->target[0] == '*')
		return snprintf(dst, size, "/") < 0;
	e = http_path(&h, dst, size);
	/* Some servers take two slashes for one, or a backslash for one. */
	return e < 0 || strstr(dst, "//") || strchr(dst, '\\') ? -EINVAL : 0;
}

static bool judge_rules(struct stream *s, const struct request *r)
{
	_cleanup_free_ char *method = xstrndup(r->method, r->method_len);
	_cleanup_free_ char *path = xcalloc(1, PATH_SIZE);
	struct policy_answer a;
	char why[160];

	s->rule[0] = '\0';
	s->no_rule = false;
	if (plain_path(r, path, PATH_SIZE) < 0)
		return refuse(s, 403,
			"its path can be read in more than one way, so no "
			"rule can judge it");
	a = ask(s, method, path);
	judge_keep_rule(s, a.rule);
	s->no_rule = !a.rule;
	(void)snprintf(why, sizeof(why), "%s %.16s %.100s",
		a.verdict != POLICY_DENY ? ""
			: a.rule         ? "a rule denies"
					 : "no rule allows",
		method, path);
	if (a.verdict == POLICY_DENY)
		return refuse(s, 403, why);
	asked_done(&s->asked);
	s->asked.method = TAKE_PTR(method);
	s->asked.path = TAKE_PTR(path);
	stream_note(s, "allow", why + 1);
	return true;
}

bool request_judge(struct stream *s, const struct request *r)
{
	char why[160];

	if (s->open->refusal[0]) {
		s->rule[0] = '\0';
		return refuse(s, 502, s->open->refusal);
	}
	if (r->authority_len && !host_fits(s, r->authority, r->authority_len)) {
		s->rule[0] = '\0';
		s->no_rule = false;
		(void)snprintf(why, sizeof(why),
			"its Host names another host, %.*s",
			(int)MIN(r->authority_len, (size_t)100), r->authority);
		return refuse(s, 403, why);
	}
	return !s->judged || judge_rules(s, r);
}

bool request_again(struct stream *s, const struct asked *was)
{
	struct policy_answer a;

	if (!was->method)
		return true;
	a = ask(s, was->method, was->path);
	judge_keep_rule(s, a.rule);
	return a.verdict != POLICY_DENY;
}

void request_refuse(struct stream *s, uint16_t status, const char *why)
{
	char text[160];

	s->rule[0] = '\0';
	s->no_rule = false;
	(void)snprintf(text, sizeof(text), "refused HTTP: %s", why);
	(void)refuse(s, status, text);
}

/* Secrets leave over verified TLS only. */
int request_value(struct stream *s, const char *field, size_t field_len,
	const char *value, size_t len, struct buf *out)
{
	if (!s->by_name || !s->open->tls[HTTP_SERVER])
		return 0;
	return vault_replace(s->g->vault, &s->name, s->port, field, field_len,
		value, len, out);
}

/* ---- for the HTTP/1.1 proxy ---- */

static bool on_request(
	void *arg, const struct http_head *h, bool keep, struct buf *answer)
{
	struct stream *s = arg;
	struct http_span t = http_proxy_target(h);
	const struct request r = {
		.method = http_ptr(h, h->method),
		.method_len = h->method.len,
		.target = t.len ? http_ptr(h, t) : "/",
		.target_len = t.len ? t.len : 1,
		.authority = http_ptr(h, h->authority),
		.authority_len = h->authority.len,
	};

	if (request_judge(s, &r))
		return true;
	deny_answer(s, keep, answer);
	return false;
}

static int on_value(void *arg, const struct http_head *h,
	const struct http_field *f, struct http_span v, struct buf *out)
{
	return request_value(arg, f ? http_ptr(h, f->name) : "?",
		f ? f->name.len : 1, http_ptr(h, v), v.len, out);
}

static void on_refuse(
	void *arg, unsigned status, const char *why, struct buf *answer)
{
	struct stream *s = arg;

	request_refuse(s, (uint16_t)status, why);
	deny_answer(s, false, answer);
}

const struct http_proxy_ops open_http_ops = {
	.request = on_request,
	.value = on_value,
	.refuse = on_refuse,
};

/* ---- for HTTP/2 ---- */

static void put_reply(const struct stream *s, struct h2_reply *ret)
{
	ret->status = s->status;
	ret->rule = deny_rule(s);
	deny_body(s, &ret->body);
}

static bool on_h2_request(void *arg, const struct request *r,
	struct asked *ret_asked, struct h2_reply *ret)
{
	struct stream *s = arg;

	if (!request_judge(s, r)) {
		put_reply(s, ret);
		return false;
	}
	*ret_asked = s->asked;
	s->asked = (struct asked){NULL, NULL};
	return true;
}

static int on_h2_value(void *arg, const char *field, size_t field_len,
	const char *value, size_t len, struct buf *out)
{
	return request_value(arg, field, field_len, value, len, out);
}

static void on_h2_refuse(
	void *arg, uint16_t status, const char *why, struct h2_reply *ret)
{
	struct stream *s = arg;

	request_refuse(s, status, why);
	if (ret)
		put_reply(s, ret);
}

const struct h2_ops open_h2_ops = {
	.request = on_h2_request,
	.value = on_h2_value,
	.refuse = on_h2_refuse,
};
