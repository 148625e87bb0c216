/* SPDX-License-Identifier: Apache-2.0 */
/* Each row is one line of rules, one question, one verdict. */
#include "policy/policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct row {
	const char *rules;
	const char *host; /* a name or an address */
	unsigned port;
	enum policy_verdict want;
};

#define D POLICY_DENY
#define A POLICY_ALLOW
#define O POLICY_OPEN

static const struct row rows[] = {
	{"", "example.com", 443, D},
	{"allow example.com", "example.com", 443, A},
	{"allow example.com", "EXAMPLE.com.", 443, A},
	{"allow example.com", "www.example.com", 443, D},
	{"allow example.com", "notexample.com", 443, D},
	{"allow *.example.com", "example.com", 443, D},
	{"allow *.example.com", "a.example.com", 443, A},
	{"allow *.example.com", "a.b.example.com", 443, D},
	{"allow **.example.com", "a.b.example.com", 443, A},
	{"allow **.example.com", "example.com", 443, D},
	{"allow **.example.com", "xexample.com", 443, D},
	{"allow example.com:443", "example.com", 443, A},
	{"allow example.com:443", "example.com", 80, D},
	{"allow example.com:1-1024", "example.com", 1024, A},
	{"allow example.com:1-1024", "example.com", 1025, D},
	{"allow **", "anything.org", 22, A},
	{"allow **", "8.8.8.8", 53, A},
	{"allow **", "host.cove.internal", 8080, D},
	{"allow host:8080", "host.cove.internal", 8080, A},
	{"allow host:8080", "host.cove.internal", 8081, D},
	{"allow **\ndeny evil.org", "evil.org", 443, D},
	{"deny evil.org\nallow **", "evil.org", 443, D},
	{"deny **\nallow good.org", "good.org", 443, D},
	{"allow 10.0.0.0/8", "10.1.2.3", 22, A},
	{"allow 10.0.0.0/8", "::ffff:10.1.2.3", 22, A},
	{"allow 10.0.0.0/8", "11.1.2.3", 22, D},
	{"allow 1.2.3.4", "1.2.3.4", 22, A},
	{"allow 1.2.3.4", "1.2.3.5", 22, D},
	{"allow [2001:db8::1]:22", "2001:db8::1", 22, A},
	{"allow [2001:db8::1]:22", "2001:db8::1", 23, D},
	{"allow ::/0", "1.2.3.4", 22, D},
	{"allow 0.0.0.0/0", "2001:db8::1", 22, D},
	{"allow example.com udp", "example.com", 443, D},
	{"allow api.org method=GET", "api.org", 443, O},
	{"allow api.org\ndeny api.org path=/admin/**", "api.org", 443, O},
	{"deny api.org method=POST", "api.org", 443, D},
	{"allow :8080", "any.org", 8080, A},
	{"allow :8080", "any.org", 80, D},
};

static void load(const char *text, struct policy_rule **rules, size_t *n)
{
	struct err err = {0};

	*rules = NULL;
	*n = 0;
	if (policy_rules_parse(text, strlen(text), "t", rules, n, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static void test_streams(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct policy_question q = {
			.sandbox = "box", .port = (uint16_t)r->port};
		struct policy_rule *rules;
		struct hostname name;
		struct address addr;
		struct policy p = {0};
		size_t len = strlen(r->host);

		load(r->rules, &rules, &p.n_rules);
		p.rules = rules;
		if (address_parse(r->host, len, &addr) == 0)
			q.addr = &addr;
		else if (name_parse(r->host, len, &name) == 0)
			q.name = &name;
		else
			fail_msg("%s is neither", r->host);
		if (policy_ask(&p, &q).verdict != r->want)
			fail_msg("[%s] %s:%u", r->rules, r->host, r->port);
		free(rules);
	}
}

struct http_row {
	const char *rules, *method, *path;
	enum policy_verdict want;
};

static const struct http_row http_rows[] = {
	{"allow a.org method=GET,HEAD", "GET", "/", A},
	{"allow a.org method=get", "GET", "/", A},
	{"allow a.org method=GET", "POST", "/", D},
	{"allow a.org path=/v1/*", "GET", "/v1/x", A},
	{"allow a.org path=/v1/*", "GET", "/v1/x/y", D},
	{"allow a.org path=/v1/**", "GET", "/v1/x/y", A},
	{"allow a.org path=/v1/**/z", "GET", "/v1/x/y/z", A},
	{"allow a.org path=/v1/**/z", "GET", "/v1/x/y/zz", D},
	{"allow a.org path=/*.js", "GET", "/a.b.js", A},
	{"allow a.org path=/*.js", "GET", "/a/b.js", D},
	{"allow a.org\ndeny a.org path=/admin/**", "GET", "/admin/x", D},
	{"allow a.org\ndeny a.org path=/admin/**", "GET", "/x", A},
	{"allow a.org\ndeny a.org method=DELETE", "DELETE", "/x", D},
};

static void test_requests(void **state)
{
	struct hostname name;

	assert_int_equal(name_parse("a.org", 5, &name), 0);
	for (size_t i = 0; i < ARRAY_SIZE(http_rows); i++) {
		const struct http_row *r = &http_rows[i];
		struct policy_question q = {.sandbox = "box",
			.port = 443,
			.name = &name,
			.method = r->method,
			.path = r->path};
		struct policy_rule *rules;
		struct policy p = {0};

		load(r->rules, &rules, &p.n_rules);
		p.rules = rules;
		if (policy_ask(&p, &q).verdict != r->want)
			fail_msg("[%s] %s %s", r->rules, r->method, r->path);
		free(rules);
	}
}

static void test_refused_targets(void **state)
{
	static const char *const bad[] = {"", "*", "a b", "a..b", "-a.org",
		"a-.org", "*.*.org", "a.*.org", "a.org:0", "a.org:65536",
		"a.org:2-1", "a.org:", "a.org:1-", "a.org:+1", "10.0.0.1/8",
		"10.0.0.0/33", "1.2.3", "0x7f.1", "127.1", "010.0.0.1",
		"2130706433", "[::1", "::1]", "http://a.org", "a.org/x",
		"user@a.org", "é.org", "a.org:01", "1.2.3.4.5", "a.0x10"};
	struct policy_target t;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		if (policy_target_parse(bad[i], &t, &err) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_true(err.text[0] != '\0');
	}
}

static void test_format_round_trip(void **state)
{
	static const char *const good[] = {"example.com", "*.example.com",
		"**.example.com:443", "**", "**:80-90", "10.0.0.0/8",
		"1.2.3.4:22", "[2001:db8::1]:22", "2001:db8::/32",
		"[2001:db8::/32]:1", "host:8080"};
	struct policy_target t;
	char buf[320];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (policy_target_parse(good[i], &t, NULL) < 0)
			fail_msg("'%s' was refused", good[i]);
		assert_string_equal(
			policy_target_format(&t, buf, sizeof(buf)), good[i]);
	}
}

static void test_dial(void **state)
{
	static const struct {
		const char *rules, *name, *addr;
		enum policy_verdict want;
	} t[] = {
		{"allow a.org", "a.org", "93.184.216.34", A},
		{"allow a.org", "a.org", "127.0.0.1", D},
		{"allow a.org", "a.org", "10.0.0.1", D},
		{"allow a.org", "a.org", "169.254.169.254", D},
		{"allow a.org", "a.org", "::ffff:169.254.169.254", D},
		{"allow a.org", "a.org", "64:ff9b::7f00:1", D},
		{"allow a.org", "a.org", "2002:7f00:1::", D},
		{"allow a.org", "a.org", "::1", D},
		{"allow a.org", "a.org", "fd00::1", D},
		{"allow a.org", "a.org", "0.0.0.0", D},
		{"allow a.org\nallow 10.0.0.0/8", "a.org", "10.0.0.1", A},
		{"allow a.org\ndeny 93.184.0.0/16", "a.org", "93.184.216.34",
			D},
		{"allow host:80", "host.cove.internal", "127.0.0.1", A},
		{"allow **", "a.org", "127.0.0.1", D},
		{"allow **", NULL, "127.0.0.1", D},
		{"allow **", NULL, "8.8.8.8", A},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct policy_question q = {.sandbox = "box", .port = 80};
		struct policy_rule *rules;
		struct hostname name;
		struct address addr;
		struct policy p = {0};

		load(t[i].rules, &rules, &p.n_rules);
		p.rules = rules;
		if (t[i].name) {
			assert_int_equal(
				name_parse(t[i].name, strlen(t[i].name), &name),
				0);
			q.name = &name;
		}
		assert_int_equal(
			address_parse(t[i].addr, strlen(t[i].addr), &addr), 0);
		if (policy_ask_dial(&p, &q, &addr).verdict != t[i].want)
			fail_msg("[%s] %s %s", t[i].rules,
				t[i].name ? t[i].name : "-", t[i].addr);
		free(rules);
	}
}

static void test_scope_and_files(void **state)
{
	struct policy_rule *rules = NULL;
	struct hostname name;
	struct err err = {0};
	size_t n = 0;
	const char *bad = "allow a.org\n\n# x\nallow b.org nonsense\n";

	assert_int_equal(
		policy_rules_parse(bad, strlen(bad), "f", &rules, &n, &err),
		-EINVAL);
	assert_non_null(strstr(err.text, "line 4"));
	assert_int_equal(n, 0);
	load("allow a.org # why", &rules, &n);
	assert_string_equal(rules[0].id, "t1");
	(void)snprintf(rules[0].scope, sizeof(rules[0].scope), "box");
	assert_int_equal(name_parse("a.org", 5, &name), 0);
	struct policy p = {rules, n};
	struct policy_question q = {.sandbox = "box", .name = &name, .port = 1};
	assert_int_equal(policy_ask(&p, &q).verdict, POLICY_ALLOW);
	q.sandbox = "other";
	assert_int_equal(policy_ask(&p, &q).verdict, POLICY_DENY);
	free(rules);
}

/* "Some port is allowed" against asking about every port there is. */
static void test_any_port(void **state)
{
	static const char *const rules[] = {"", "allow a.org", "deny a.org",
		"allow a.org:443", "allow a.org\ndeny a.org:1-65534",
		"allow a.org\ndeny a.org:1-65535", "allow b.org",
		"allow a.org:5-9\ndeny a.org:5\ndeny **:6-8",
		"allow a.org:5-9\ndeny a.org:5-7\ndeny **:8-9",
		"allow **:80 method=GET", "allow *.a.org", "allow a.org udp",
		"deny a.org:2-65535\nallow **:1-2"};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct policy_question q = {.sandbox = "box"};
		bool want = false, got;
		struct policy_rule *r;
		struct hostname name;
		struct policy p = {0};

		load(rules[i], &r, &p.n_rules);
		p.rules = r;
		assert_int_equal(name_parse("a.org", 5, &name), 0);
		q.name = &name;
		got = policy_ask_any_port(&p, &q).verdict != POLICY_DENY;
		for (unsigned port = 1; port <= 65535 && !want; port++) {
			q.port = (uint16_t)port;
			want = policy_ask(&p, &q).verdict != POLICY_DENY;
		}
		if (got != want)
			fail_msg("[%s] %d", rules[i], got);
		free(r);
	}
}

static void test_rules_are_written_as_they_are_read(void **state)
{
	static const char *const lines[] = {"allow example.com id=r1",
		"deny **:1-1024 id=x.y-9", "allow [2001:db8::/32]:22 id=a",
		"allow host:8080 udp id=b",
		"allow *.a.org:443 method=GET,HEAD path=/v1/** id=c"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char out[POLICY_LINE_MAX];
		struct policy_rule *r;
		size_t n;

		load(lines[i], &r, &n);
		policy_rule_format(&r[0], out, sizeof(out));
		assert_string_equal(out, lines[i]);
		free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_refused_targets),
		cmocka_unit_test(test_format_round_trip),
		cmocka_unit_test(test_dial),
		cmocka_unit_test(test_scope_and_files),
		cmocka_unit_test(test_any_port),
		cmocka_unit_test(test_rules_are_written_as_they_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
