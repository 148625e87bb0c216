/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/policy.h"

#include <string.h>

static bool scope_match(const struct policy_rule *r, const char *sandbox)
{
	return r->scope[0] == '\0' || (sandbox && streq(r->scope, sandbox));
}

/* n is exactly one label, or any number of them, below base. */
static bool below(
	const struct hostname *n, const struct hostname *base, bool one_label)
{
	size_t head;

	if (n->len < base->len + 2)
		return false;
	head = n->len - (size_t)base->len - 1;
	if (n->s[head] != '.' || memcmp(n->s + head + 1, base->s, base->len))
		return false;
	return !one_label || !memchr(n->s, '.', head);
}

static bool cidr_match(const struct policy_target *t, const struct address *a)
{
	unsigned bytes = t->bits / 8, rest = t->bits % 8;

	/* A short IPv6 prefix must not swallow IPv4 in its mapped form. */
	if (address_is_v4(a) != (address_is_v4(&t->addr) && t->bits >= 96))
		return false;
	if (memcmp(t->addr.b, a->b, bytes) != 0)
		return false;
	return rest == 0 || (t->addr.b[bytes] ^ a->b[bytes]) >> (8 - rest) == 0;
}

static bool is_host_name(const struct hostname *n)
{
	return n && streq(n->s, POLICY_HOST_NAME);
}

/* "**" is every public name and address; the host itself has its own word. */
static bool target_match(const struct policy_target *t, bool allow,
	const struct policy_question *q)
{
	if (q->port < t->port_lo || q->port > t->port_hi)
		return false;
	switch (t->kind) {
	case TARGET_ANY:
		return !allow || !is_host_name(q->name);
	case TARGET_NAME:
		return q->name && name_equal(q->name, &t->name);
	case TARGET_ONE_LABEL:
		return q->name && below(q->name, &t->name, true);
	case TARGET_SUBTREE:
		return q->name && below(q->name, &t->name, false);
	case TARGET_CIDR:
		return q->addr && cidr_match(t, q->addr);
	case TARGET_HOST:
		return is_host_name(q->name);
	}
	return false;
}

static bool rule_speaks(
	const struct policy_rule *r, const struct policy_question *q)
{
	return r->udp == (q->proto == POLICY_UDP) &&
		scope_match(r, q->sandbox) &&
		target_match(&r->target, r->allow, q);
}

static bool is_http(const struct policy_rule *r)
{
	return r->n_methods > 0 || r->path[0] != '\0';
}

static bool http_match(
	const struct policy_rule *r, const struct policy_question *q)
{
	bool method = r->n_methods == 0;

	for (uint8_t i = 0; i < r->n_methods; i++)
		method = method || streq(r->methods[i], q->method);
	return method && (!r->path[0] || policy_path_match(r->path, q->path));
}

static struct policy_answer ask_stream(
	const struct policy *p, const struct policy_question *q)
{
	struct policy_answer a = {POLICY_DENY, NULL};
	bool open = false;

	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];

		if (!rule_speaks(r, q))
			continue;
		if (!r->allow && !is_http(r))
			return (struct policy_answer){POLICY_DENY, r};
		open = open || is_http(r);
		if (r->allow && a.verdict == POLICY_DENY)
			a = (struct policy_answer){POLICY_ALLOW, r};
	}
	if (a.verdict == POLICY_ALLOW && open)
		a.verdict = POLICY_OPEN;
	return a;
}

static struct policy_answer ask_request(
	const struct policy *p, const struct policy_question *q)
{
	struct policy_answer a = {POLICY_DENY, NULL};

	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];

		if (!rule_speaks(r, q) || !http_match(r, q))
			continue;
		if (!r->allow)
			return (struct policy_answer){POLICY_DENY, r};
		if (a.verdict == POLICY_DENY)
			a = (struct policy_answer){POLICY_ALLOW, r};
	}
	return a;
}

struct policy_answer policy_ask(
	const struct policy *p, const struct policy_question *q)
{
	return q->method ? ask_request(p, q) : ask_stream(p, q);
}

/* A literal address that "**" let through is still not a private one. */
struct policy_answer policy_ask_dial(const struct policy *p,
	const struct policy_question *q, const struct address *addr)
{
	struct policy_answer a = {POLICY_DENY, NULL};
	struct policy_question by_addr = *q;
	enum address_class class = address_classify(addr);

	by_addr.name = NULL;
	by_addr.addr = addr;
	by_addr.method = NULL;
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];
		bool host =
			r->target.kind == TARGET_HOST && class == ADDR_LOOPBACK;
		bool named = r->target.kind == TARGET_CIDR &&
			rule_speaks(r, &by_addr);

		host = host && rule_speaks(r, q);
		if (!r->allow && named && !is_http(r))
			return (struct policy_answer){POLICY_DENY, r};
		if (r->allow && (named || host) && !a.rule)
			a = (struct policy_answer){POLICY_ALLOW, r};
	}
	if (class == ADDR_PUBLIC)
		a.verdict = POLICY_ALLOW;
	return a;
}

/*
 * The lowest port that is allowed, if there is one, is the first port of an
 * allow rule or the one behind a deny rule: only those need to be asked.
 */
struct policy_answer policy_ask_any_port(
	const struct policy *p, const struct policy_question *q)
{
	struct policy_answer a = {POLICY_DENY, NULL}, no = a;
	struct policy_question at = *q;

	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_target *t = &p->rules[i].target;
		struct policy_answer first;
		unsigned port;

		port = p->rules[i].allow ? MAX(t->port_lo, 1u)
					 : t->port_hi + 1u;
		if (port > UINT16_MAX)
			port = 1;
		at.port = (uint16_t)port;
		first = policy_ask(p, &at);
		if (first.verdict != POLICY_DENY)
			return first;
		if (!no.rule)
			no = first;
	}
	a.rule = no.rule;
	return a;
}

bool policy_is_unknown(const struct policy *p, const struct policy_question *q)
{
	struct policy_question at = *q;

	at.port = 1;
	for (size_t i = 0; i <= p->n_rules; i++) {
		struct policy_answer a = policy_ask(p, &at);

		if (a.verdict == POLICY_DENY && !a.rule)
			return true;
		/* The next one to look at: the first behind some rule. */
		if (i < p->n_rules && p->rules[i].target.port_hi < UINT16_MAX)
			at.port = (uint16_t)(p->rules[i].target.port_hi + 1u);
	}
	return false;
}

const struct policy_rule *policy_limit(
	const struct policy *p, const struct policy_question *q)
{
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];

		if (r->allow && (r->rate_up || r->rate_down || r->quota) &&
			rule_speaks(r, q))
			return r;
	}
	return NULL;
}
