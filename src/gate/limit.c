/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/limit.h"

#include <stdio.h>
#include <string.h>

static struct limit *by_id(const struct gate *g, const char *id)
{
	list_for_each (it, &g->limits) {
		struct limit *l = list_entry(it, struct limit, link);

		if (streq(l->id, id))
			return l;
	}
	return NULL;
}

static void update(struct gate *g, const struct policy_rule *r)
{
	struct limit *l = by_id(g, r->id);

	if (!l) {
		l = xnew(struct limit);
		(void)snprintf(l->id, sizeof(l->id), "%s", r->id);
		rate_init(&l->up, r->rate_up, now_ms());
		rate_init(&l->down, r->rate_down, now_ms());
		list_add_tail(&g->limits, &l->link);
	}
	if (l->up.per_second != r->rate_up)
		rate_init(&l->up, r->rate_up, now_ms());
	if (l->down.per_second != r->rate_down)
		rate_init(&l->down, r->rate_down, now_ms());
	l->quota = r->quota;
	l->keep = true;
}

void limits_update(struct gate *g)
{
	list_for_each (it, &g->limits)
		list_entry(it, struct limit, link)->keep = false;
	for (size_t i = 0; i < g->policy.n_rules; i++) {
		const struct policy_rule *r = &g->policy.rules[i];

		if (r->rate_up || r->rate_down || r->quota)
			update(g, r);
	}
}

void limits_sweep(struct gate *g)
{
	list_for_each_safe (it, &g->limits) {
		struct limit *l = list_entry(it, struct limit, link);

		if (l->keep)
			continue;
		list_del(&l->link);
		free(l);
	}
}

void limits_done(struct gate *g)
{
	list_for_each (it, &g->limits)
		list_entry(it, struct limit, link)->keep = false;
	limits_sweep(g);
}

struct limit *limit_find(const struct gate *g, const struct policy_question *q)
{
	const struct policy_rule *r = policy_limit(&g->policy, q);

	return r ? by_id(g, r->id) : NULL;
}

bool limit_spend(struct gate *g, struct limit *l, uint64_t n)
{
	char text[80];
	bool before = limit_over(l);

	l->used += n;
	if (!limit_over(l))
		return false;
	if (!before) {
		(void)snprintf(text, sizeof(text),
			"the quota of rule %s is used up", l->id);
		control_event(g, "quota.net", text);
	}
	return true;
}
