/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ask.h"

#include "daemon/gate.h"
#include "daemon/policies.h"

#include "wire/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SESSION_RULES_MAX 256u

struct ask {
	char id[8];
	char target[NAME_MAX_LEN + 1]; /* "": free */
	uint16_t port;
	bool udp;
	uint64_t since_ns;
	uint64_t due_ms;
};

struct asks {
	struct ask ask[ASKS_MAX];
	unsigned next_id;
	struct policy_rule rules[SESSION_RULES_MAX];
	size_t n_rules;
};

static struct asks *get(struct sandbox *sb)
{
	if (!sb->asks)
		sb->asks = xnew(struct asks);
	return sb->asks;
}

void ask_free(struct sandbox *sb)
{
	free(TAKE_PTR(sb->asks));
}

const struct policy_rule *ask_rules(const struct sandbox *sb, size_t *ret_n)
{
	*ret_n = sb->asks ? sb->asks->n_rules : 0;
	return sb->asks ? sb->asks->rules : NULL;
}

static bool is_live(const struct ask *a)
{
	return a->target[0] && a->due_ms > now_ms();
}

static int read_ask(const void *body, size_t len, struct ask *ret)
{
	struct tlv_iter it = tlv_iter(body, len);
	_cleanup_free_ char *target = NULL;
	uint32_t port = 0, udp = 0;
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) > 0) {
		if (t.tag == GT_TARGET && !target)
			r = tlv_str(&t, NAME_MAX_LEN, &target);
		else if (t.tag == GT_TARGET_PORT)
			r = tlv_u32(&t, &port);
		else if (t.tag == GT_UDP)
			r = tlv_u32(&t, &udp);
		if (r < 0)
			return r;
	}
	if (r < 0 || !target || !*target || port == 0 || port > UINT16_MAX)
		return -EBADMSG;
	(void)snprintf(ret->target, sizeof(ret->target), "%s", target);
	ret->port = (uint16_t)port;
	ret->udp = udp != 0;
	return 0;
}

static void wake(struct daemon *d)
{
	struct list now;

	/* One that is not meant waits on. */
	list_init(&now);
	while (!list_empty(&d->ask_waiters)) {
		struct list *it = d->ask_waiters.next;

		list_del(it);
		list_add_tail(&now, it);
	}
	while (!list_empty(&now)) {
		struct ask_waiter *w =
			list_entry(now.next, struct ask_waiter, link);

		list_del(&w->link);
		w->fn(w);
	}
}

static struct ask *place(struct asks *all, const struct ask *new)
{
	struct ask *free_one = NULL;

	for (size_t i = 0; i < ASKS_MAX; i++) {
		struct ask *a = &all->ask[i];

		if (!is_live(a))
			free_one = a;
		else if (a->port == new->port &&
			a->udp == new->udp &&streq(a->target, new->target))
			return a;
	}
	return free_one;
}

void ask_add(struct sandbox *sb, const void *body, size_t len)
{
	struct asks *all = get(sb);
	struct ask new = {.id = ""};
	char text[NAME_MAX_LEN + 80];
	struct ask *a;

	if (read_ask(body, len, &new) < 0)
		return;
	a = place(all, &new);
	if (!a)
		return; /* its gate denies it when the time is over */
	if (!is_live(a)) {
		*a = new;
		(void)snprintf(
			a->id, sizeof(a->id), "q%u", ++all->next_id % 100000u);
		a->since_ns = now_real_ns();
		(void)snprintf(text, sizeof(text),
			"%s:%u waits for an answer: cove policy approve %s",
			a->target, a->port, a->id);
		a->due_ms = now_ms() + GATE_ASK_MS;
		sandbox_guest_event(sb, "ask", text);
		wake(sb->d);
	}
	a->due_ms = now_ms() + GATE_ASK_MS;
}

static json_t *one_json(const struct sandbox *sb, const struct ask *a)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:o}", "id", a->id,
		"sandbox", sb->row.name, "target", a->target, "port", a->port,
		"protocol", a->udp ? "udp" : "tcp", "since",
		json_time(a->since_ns));
}

json_t *ask_json(struct daemon *d, const struct sandbox *only)
{
	json_t *list = json_array();

	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (!sb->asks || (only && only != sb))
			continue;
		for (size_t i = 0; i < ASKS_MAX; i++)
			if (is_live(&sb->asks->ask[i]))
				json_array_append_new(
					list, one_json(sb, &sb->asks->ask[i]));
	}
	return list;
}

/* The rule that says what the person said. */
static int make_rule(const struct ask *a, bool allow, struct policy_rule *ret,
	struct err *err)
{
	struct policy_rule r = {.allow = allow, .udp = a->udp};
	bool v6 = strchr(a->target, ':') != NULL;
	_cleanup_free_ char *text = xasprintf("%s%s%s:%u", v6 ? "[" : "",
		streq(a->target, POLICY_HOST_NAME) ? "host" : a->target,
		v6 ? "]" : "", a->port);
	int rc = policy_target_parse(text, &r.target, err);

	if (rc == 0)
		*ret = r;
	return rc;
}

static int add_session(struct sandbox *sb, struct policy_rule *rule,
	const char *id, struct err *err)
{
	struct asks *all = sb->asks;

	if (all->n_rules == SESSION_RULES_MAX)
		return err_set(err, ENOSPC,
			"more than %u answers for this session; say always",
			SESSION_RULES_MAX);
	(void)snprintf(rule->id, sizeof(rule->id), "session-%s", id);
	all->rules[all->n_rules++] = *rule;
	gate_push(sb);
	return 0;
}

static int answer(struct sandbox *sb, struct ask *a, bool allow,
	enum ask_how how, struct err *err)
{
	struct policy_rule rule;
	int r = how == ASK_ONCE ? 0 : make_rule(a, allow, &rule, err);

	if (r == 0 && how == ASK_ONCE)
		gate_answer(sb, a->target, a->port, a->udp, allow);
	else if (r == 0 && how == ASK_SESSION)
		r = add_session(sb, &rule, a->id, err);
	else if (r == 0)
		r = policies_add(sb->d, sb, &rule, 1, err);
	if (r == 0)
		a->target[0] = '\0';
	return r;
}

static bool fits(const struct ask *a, const char *what)
{
	_cleanup_free_ char *full = xasprintf("%s:%u", a->target, a->port);

	return streq(a->id, what) || streq(a->target, what) ||
		streq(full, what);
}

int ask_answer(struct daemon *d, struct sandbox *only, const char *what,
	bool allow, enum ask_how how, unsigned *ret_n, struct err *err)
{
	unsigned n = 0;
	int r = 0;

	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		for (size_t i = 0; sb->asks && i < ASKS_MAX; i++) {
			struct ask *a = &sb->asks->ask[i];

			if ((only && only != sb) || !is_live(a) ||
				!fits(a, what))
				continue;
			r = answer(sb, a, allow, how, err);
			if (r < 0)
				return r;
			n++;
		}
	}
	if (n == 0)
		return err_set(err, ENOENT,
			"nothing waits for '%.80s'; see: cove policy pending, "
			"or make a rule: cove policy allow",
			what);
	*ret_n = n;
	return 0;
}
