/* SPDX-License-Identifier: Apache-2.0 */
/* A rule file: what is taken is written and read again as the same rules. */
#include "policy/policy.h"

#include <assert.h>
#include <string.h>

static void ask(const struct policy *p, const char *host)
{
	struct policy_question q = {.sandbox = "box", .port = 443};
	struct policy_answer a;
	struct hostname n;

	assert(name_parse(host, strlen(host), &n) == 0);
	q.name = &n;
	a = policy_ask(p, &q);
	assert(a.verdict == POLICY_DENY || a.rule);
	if (a.verdict != POLICY_DENY)
		assert(policy_ask_any_port(p, &q).verdict != POLICY_DENY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_rule *rules = NULL, *again = NULL;
	struct err err = {0};
	size_t n = 0, m = 0;

	if (policy_rules_parse(
		    (const char *)data, size, "f", &rules, &n, &err) < 0) {
		assert(n == 0 && err.text[0]);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		char a[POLICY_LINE_MAX], b[POLICY_LINE_MAX];

		policy_rule_format(&rules[i], a, sizeof(a));
		m = 0;
		assert(policy_rules_parse(
			       a, strlen(a), "f", &again, &m, &err) == 0);
		assert(m == 1);
		policy_rule_format(&again[0], b, sizeof(b));
		assert(strcmp(a, b) == 0);
	}
	ask(&(struct policy){rules, n}, "example.com");
	ask(&(struct policy){rules, n}, "a.b.example.com");
	free(rules);
	free(again);
	return 0;
}
