/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/judge.h"

#include "gate/ask.h"
#include "gate/limit.h"
#include "gate/open.h"
#include "gate/through.h"
#include "gate/udp.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct policy_question judge_question(const struct stream *s)
{
	return (struct policy_question){
		.sandbox = s->g->birth.name,
		.proto = s->head[1] == EGRESS_UDP ? POLICY_UDP : POLICY_TCP,
		.name = s->by_name ? &s->name : NULL,
		.addr = s->by_name ? NULL : &s->addr,
		.port = s->port,
	};
}

/* What a person said yes to may be an address that "**" does not mean. */
static bool by_hand(const struct stream *s)
{
	return s->approved &&
		(!s->by_name || streq(s->name.s, POLICY_HOST_NAME));
}

void judge_keep_rule(struct stream *s, const struct policy_rule *rule)
{
	(void)snprintf(s->rule, sizeof(s->rule), "%s", rule ? rule->id : "");
}

void judge_refuse(struct stream *s, uint16_t status, const char *verdict,
	const char *reason)
{
	s->g->count.denied++;
	s->status = status;
	(void)snprintf(s->reason, sizeof(s->reason), "%s", reason);
	stream_note(s, verdict, reason);
	stream_refuse(s);
}

static void refuse_by(struct stream *s, const struct policy_answer *a)
{
	judge_keep_rule(s, a->rule);
	s->no_rule = !a->rule;
	judge_refuse(s, 403, "deny",
		a->rule ? "a rule denies it" : "no rule allows it");
}

static void on_dialled(void *arg, int fd, const struct address *addr)
{
	struct stream *s = arg;
	char why[160];

	s->dial = NULL;
	if (fd < 0) {
		(void)snprintf(
			why, sizeof(why), "cannot connect: %s", strerror(-fd));
		judge_refuse(s, 502, "error", why);
		return;
	}
	s->g->count.opened++;
	s->addr = *addr;
	stream_note(s, "allow", "");
	stream_relay(s, fd);
}

static void dial(struct stream *s, const struct address *addrs, size_t n)
{
	if (s->head[1] == EGRESS_UDP) {
		udp_begin(s, addrs, n);
		return;
	}
	stream_wait(s, ST_DIAL);
	s->dial = dial_new(&s->g->loop, addrs, n, s->port, on_dialled, s);
}

/* Leaves the addresses that may be dialled; 0: s->reason says why. */
static size_t filter(struct stream *s, const struct address *addrs, size_t n,
	struct address out[DIAL_MAX])
{
	struct policy_question q = judge_question(s);
	char text[64];
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < DIAL_MAX; i++) {
		struct policy_answer a =
			policy_ask_dial(&s->g->policy, &q, &addrs[i]);

		if (a.verdict != POLICY_DENY || (!a.rule && by_hand(s))) {
			out[kept++] = addrs[i];
			continue;
		}
		judge_keep_rule(s, a.rule);
		(void)snprintf(s->reason, sizeof(s->reason),
			"%s is a %s address that no rule names",
			address_format(&addrs[i], text, sizeof(text)),
			address_class_name(address_classify(&addrs[i])));
		if (a.rule)
			(void)snprintf(s->reason, sizeof(s->reason),
				"a rule denies its address %s", text);
	}
	return kept;
}

static void dial_allowed(
	struct stream *s, const struct address *addrs, size_t n)
{
	struct address out[DIAL_MAX];
	char why[sizeof(s->reason)];
	size_t kept = filter(s, addrs, n, out);

	if (kept > 0) {
		dial(s, out, kept);
		return;
	}
	memcpy(why, s->reason, sizeof(why));
	judge_refuse(s, 403, "deny", why);
}

static void on_lookup(struct lookup *l, const struct address *addrs, size_t n,
	const char *why)
{
	struct stream *s = container_of(l, struct stream, lookup);
	char text[160];

	if (n > 0) {
		dial_allowed(s, addrs, n);
		return;
	}
	(void)snprintf(text, sizeof(text), "cannot resolve it: %s", why);
	judge_refuse(s, 502, "error", text);
}

/* The host's own loopback, by the name that only Cove knows. */
static void dial_host(struct stream *s)
{
	struct address addrs[2];

	(void)address_parse("127.0.0.1", 9, &addrs[0]);
	(void)address_parse("::1", 3, &addrs[1]);
	dial_allowed(s, addrs, 2);
}

/* What the name means is decided there; an address is judged here. */
static void go_through(struct stream *s)
{
	struct address out[DIAL_MAX];
	char why[sizeof(s->reason)];

	if (s->g->upstream_bad) {
		judge_refuse(s, 502, "error",
			"the host's proxy setting is not understood");
	} else if (s->head[1] == EGRESS_UDP) {
		judge_refuse(s, 403, "deny",
			"UDP cannot go through the host's proxy");
	} else if (!s->by_name && filter(s, &s->addr, 1, out) == 0) {
		memcpy(why, s->reason, sizeof(why));
		judge_refuse(s, 403, "deny", why);
	} else {
		through_dial(s);
	}
}

static void allow(struct stream *s, const struct policy_answer *a)
{
	struct policy_question q = judge_question(s);

	judge_keep_rule(s, a->rule);
	s->limit = limit_find(s->g, &q);
	if (limit_over(s->limit)) {
		judge_refuse(s, 403, "deny", "its rule's quota is used up");
		return;
	}
	s->judged = a->verdict == POLICY_OPEN;
	s->sniffing = s->by_name || s->judged;
	stream_wait(s, ST_LOOKUP);
	if (s->by_name && streq(s->name.s, POLICY_HOST_NAME))
		dial_host(s);
	else if (s->g->upstream_bad || through_wants(s))
		go_through(s);
	else if (!s->by_name)
		dial_allowed(s, &s->addr, 1);
	else
		lookup_begin(s->g->resolver, &s->lookup, &s->name, on_lookup);
}

/* A synthetic address is a name, any other one is itself. */
static bool identify(struct stream *s, const struct egress_head *h)
{
	const struct hostname *name;

	s->port = h->port;
	memcpy(s->addr.b, h->addr, sizeof(s->addr.b));
	if (!names_is_synthetic(&s->addr))
		return true;
	name = names_find(s->g->names, &s->addr);
	if (!name)
		return false;
	s->by_name = true;
	s->name = *name;
	return true;
}

void judge_head(struct stream *s)
{
	struct policy_question q;
	struct policy_answer a;
	struct egress_head h;

	if (egress_get(s->head, &h) < 0) {
		s->g->count.dropped++;
		stream_reset(s, NULL, "");
		return;
	}
	if (!identify(s, &h)) {
		judge_refuse(s, 403, "deny", "no name has this address");
		return;
	}
	if (s->g->over_quota) {
		judge_refuse(s, 403, "deny", "the network quota is used up");
		return;
	}
	q = judge_question(s);
	a = policy_ask(&s->g->policy, &q);
	if (a.verdict != POLICY_DENY)
		allow(s, &a);
	else if (a.rule || !ask_begin(s))
		refuse_by(s, &a);
}

void judge_approve(struct stream *s)
{
	const struct policy_answer yes = {POLICY_ALLOW, NULL};

	s->approved = true;
	allow(s, &yes);
}

/*
 * A request line of HTTP, whatever its method: nobody else ends a first line
 * with a version. MORE while it may still become one.
 */
static enum judge_first looks_http(const uint8_t *p, size_t len)
{
	const uint8_t *lf = memchr(p, '\n', len);
	size_t line = lf ? (size_t)(lf - p) : len, n = 0;

	while (n < line && n < 33 &&
		((p[n] >= 'A' && p[n] <= 'Z') || p[n] == '-' || p[n] == '_'))
		n++;
	if (n == 0 || n == 33 || (n < line && p[n] != ' '))
		return JUDGE_PASS;
	if (lf)
		return memmem(p, line, " HTTP/", 6) ? JUDGE_OPEN : JUDGE_PASS;
	return len < SNI_PEEK_MAX ? JUDGE_MORE : JUDGE_PASS;
}

/* A tunnel, unless rules look into it or a secret belongs to the host. */
static enum judge_first judge_tls(
	const struct stream *s, bool named, bool alien, char *why, size_t len)
{
	struct gate *g = s->g;
	struct err err = {0};

	if (!s->judged &&
		!(s->by_name && vault_speaks_of(g->vault, &s->name, s->port)))
		return JUDGE_PASS;
	if (!s->judged && (!named || alien))
		return JUDGE_PASS; /* a placeholder stays one */
	if (named && !alien && vault_ca(g->vault) &&
		gate_ready_tls(g, &err) == 0)
		return JUDGE_OPEN_TLS;
	(void)snprintf(why, len,
		"rules look at its methods or paths, and %.100s",
		!named             ? "its TLS greeting names no host"
			: alien    ? "its TLS greeting offers no HTTP"
			: err.code ? err.text
				   : "this gate cannot open TLS");
	return JUDGE_REFUSE;
}

enum judge_first judge_first(const struct stream *s, char *why, size_t len)
{
	const uint8_t *p = buf_head(&s->first);
	size_t n = buf_len(&s->first);
	enum judge_first r;
	struct hostname sni;
	bool alien;

	switch (sni_parse(p, n, &sni, &alien)) {
	case SNI_MORE:
		return JUDGE_MORE;
	case SNI_NONE:
		return judge_tls(s, false, alien, why, len);
	case SNI_BAD:
		(void)snprintf(why, len, "its TLS greeting is broken");
		return JUDGE_REFUSE;
	case SNI_NAME:
		if (s->by_name && name_equal(&sni, &s->name))
			return judge_tls(s, true, alien, why, len);
		(void)snprintf(why, len,
			"its TLS greeting names another host, %.100s", sni.s);
		return JUDGE_REFUSE;
	case SNI_NOT_TLS:
		break;
	}
	/* In HTTP no server speaks first. */
	r = s->down > 0 ? JUDGE_PASS : looks_http(p, n);
	if (r != JUDGE_PASS || !s->judged)
		return r;
	(void)snprintf(why, len,
		"rules look at its methods or paths, and it does not speak "
		"HTTP");
	return JUDGE_REFUSE;
}

/* Is what was allowed once still allowed? */
static bool still(struct stream *s)
{
	struct policy_question q = judge_question(s);
	struct policy_answer a = policy_ask(&s->g->policy, &q);

	judge_keep_rule(s, a.rule);
	s->limit = limit_find(s->g, &q);
	if (a.verdict == POLICY_DENY && s->approved && !a.rule)
		a.verdict = POLICY_ALLOW;
	/* A tunnel into which rules would look now is none any more. */
	if (a.verdict == POLICY_DENY ||
		(a.verdict == POLICY_OPEN && s->state == ST_RELAY &&
			!s->sniffing))
		return false;
	s->judged = a.verdict == POLICY_OPEN;
	if (s->state != ST_RELAY && s->state != ST_OPEN && s->state != ST_UDP)
		return true;
	if (s->state == ST_OPEN && !open_still(s))
		return false;
	if (s->through && s->by_name)
		return true;
	a = policy_ask_dial(&s->g->policy, &q, &s->addr);
	return a.verdict != POLICY_DENY || (!a.rule && by_hand(s));
}

/* Maybe a rule speaks of it now. */
static void ask_again(struct stream *s)
{
	struct policy_question q = judge_question(s);
	struct policy_answer a = policy_ask(&s->g->policy, &q);

	if (a.verdict != POLICY_DENY)
		allow(s, &a);
	else if (a.rule)
		refuse_by(s, &a);
}

void judge_again(struct gate *g)
{
	list_for_each_safe (it, &g->streams) {
		struct stream *s = list_entry(it, struct stream, link);

		if (s->inbound)
			continue;
		if (s->state == ST_ASK)
			ask_again(s);
		if (s->state != ST_LOOKUP && s->state != ST_DIAL &&
			s->state != ST_PROXY && s->state != ST_RELAY &&
			s->state != ST_OPEN && s->state != ST_UDP)
			continue;
		if (still(s))
			continue;
		g->count.denied++;
		stream_reset(s, "cut", "the rules changed");
	}
}
