/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy - (rules, question) -> verdict. Pure functions without clock or I/O:
 * `cove policy check` and the gate call the very same code. Deny beats allow,
 * whatever is more specific; no rule means deny; every failure means deny.
 *
 * A stream is judged once, by name or address and port. When rules that look
 * at HTTP (method, path) speak of its host, the answer is POLICY_OPEN: the
 * gate reads the requests and asks again for each.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/err.h"
#include "policy/name.h"

enum policy_verdict { POLICY_DENY, POLICY_ALLOW, POLICY_OPEN };
enum policy_proto { POLICY_TCP, POLICY_UDP };

enum target_kind {
	TARGET_ANY,       /* "**" */
	TARGET_NAME,      /* "example.com": itself */
	TARGET_ONE_LABEL, /* "*.example.com" */
	TARGET_SUBTREE,   /* "**.example.com": any depth, not itself */
	TARGET_CIDR,      /* an address or CIDR */
	TARGET_HOST,      /* "host": the host's own loopback */
};

#define POLICY_METHODS_MAX 8
#define POLICY_METHOD_LEN 16
#define POLICY_PATH_MAX 512
#define POLICY_ID_LEN 16
#define POLICY_SCOPE_LEN 64
#define POLICY_RULES_MAX 4096

/* The name by which a guest reaches TARGET_HOST. */
#define POLICY_HOST_NAME "host.cove.internal"

struct policy_target {
	enum target_kind kind;
	struct hostname name; /* without the wildcard */
	struct address addr;
	uint8_t bits;              /* of addr, counted in 128 */
	uint16_t port_lo, port_hi; /* 0..65535 = any */
};

struct policy_rule {
	char id[POLICY_ID_LEN];
	bool allow;
	bool udp; /* speaks of UDP instead of TCP */
	struct policy_target target;
	char scope[POLICY_SCOPE_LEN]; /* sandbox name; "" = all */
	char methods[POLICY_METHODS_MAX][POLICY_METHOD_LEN];
	uint8_t n_methods;
	char path[POLICY_PATH_MAX]; /* glob; "" = any */
	/* Of an allow rule: what all its connections may do together. */
	uint64_t rate_up, rate_down; /* bytes a second; 0 = no limit */
	uint64_t quota;              /* bytes both ways; 0 = no limit */
};

struct policy {
	const struct policy_rule *rules;
	size_t n_rules;
};

/* What a stream or a request wants. */
struct policy_question {
	const char *sandbox;
	enum policy_proto proto;
	const struct hostname *name; /* NULL: a literal address */
	const struct address *addr;  /* NULL: a name that is not resolved yet */
	uint16_t port;
	const char *method; /* NULL: about the stream */
	const char *path;   /* with method: absolute path without query */
};

struct policy_answer {
	enum policy_verdict verdict;
	const struct policy_rule
		*rule; /* that decided; NULL = no rule matched */
};

/*
 * "example.com", "*.example.com:443", "**.x.org:1-1024", "10.0.0.0/8",
 * "[2001:db8::1]:22", "host:8080", "**". -EINVAL with a text for the user.
 */
int policy_target_parse(
	const char *text, struct policy_target *ret, struct err *err);
/* The canonical text of a target; returns buf. */
const char *policy_target_format(
	const struct policy_target *t, char *buf, size_t len);
/* "GET,POST": checked and upper-cased into the rule. */
int policy_methods_parse(
	const char *text, struct policy_rule *rule, struct err *err);
/*
 * A path glob: begins with '/', '*' within a segment, '**' across segments.
 * Refused with '?', '#', "." or ".." segments or control bytes.
 */
int policy_path_parse(
	const char *text, struct policy_rule *rule, struct err *err);

struct policy_answer policy_ask(
	const struct policy *p, const struct policy_question *q);
/*
 * After a name was resolved: may this address be dialled for it? Private,
 * loopback, link-local and reserved addresses only when an allow rule of kind
 * CIDR (or HOST for loopback) covers the address; deny rules always count.
 */
struct policy_answer policy_ask_dial(const struct policy *p,
	const struct policy_question *q, const struct address *addr);

/*
 * May this name be known at all, that is: is there any port of it that is not
 * denied? q->port is not looked at.
 */
struct policy_answer policy_ask_any_port(
	const struct policy *p, const struct policy_question *q);

/*
 * Does no rule speak of some port of it? Then a person can be asked; q->port
 * is not looked at.
 */
bool policy_is_unknown(const struct policy *p, const struct policy_question *q);
/* The first allow rule with a rate or a quota that speaks of it, or NULL. */
const struct policy_rule *policy_limit(
	const struct policy *p, const struct policy_question *q);

/*
 * Rule files, one rule a line: `allow|deny TARGET [udp] [method=GET,HEAD]
 * [path=GLOB] [rate=UP/DOWN] [quota=BYTES] [id=ID]`, '#' comments. A rule without an id gets the prefix and
 * its line number. Appends to a heap array the caller frees.
 * -EINVAL names the line; nothing is appended then.
 */
int policy_rules_parse(const char *text, size_t len, const char *id_prefix,
	struct policy_rule **rules, size_t *n_rules, struct err *err);

/* One line of a rule file, without newline; POLICY_LINE_MAX always fits. */
#define POLICY_LINE_MAX 1200u
void policy_rule_format(const struct policy_rule *r, char *buf, size_t len);

bool policy_path_match(const char *glob, const char *path);

#endif
