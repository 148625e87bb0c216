/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/limit.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIMITS_FILE "limits"
#define LINE_LEN 37u /* id, blank, used, newline: see write_line() */
#define LINES_MAX 65536u
#define KEEP_STEP (256u * 1024u) /* bytes that a kill may forget at most */

static struct limit *by_id(const struct gate *g, const char *id)
{
	list_for_each (it, &g->limits) {
		struct limit *l = list_entry(it, struct limit, link);

		if (streq(l->id, id))
			return l;
	}
	return NULL;
}

static struct limit *add(struct gate *g, const char *id)
{
	struct limit *l = xnew(struct limit);

	(void)snprintf(l->id, sizeof(l->id), "%s", id);
	list_add_tail(&g->limits, &l->link);
	return l;
}

/* ---- the file ---- */

/* id "-": the line of a rule that is gone. */
static void write_line(
	const struct gate *g, uint32_t line, const char *id, uint64_t used)
{
	char text[LINE_LEN + 1];

	(void)snprintf(text, sizeof(text), "%-15s %020" PRIu64 "\n", id, used);
	if (lseek(g->limits_fd, (off_t)(line - 1) * LINE_LEN, SEEK_SET) < 0 ||
		fd_write_all(g->limits_fd, text, LINE_LEN) < 0)
		log_debug("bytes of rule %s not kept", id);
}

static void keep(struct gate *g, struct limit *l)
{
	if (g->limits_fd < 0 || l->used == l->kept)
		return;
	if (!l->line) {
		if (g->n_limit_lines == LINES_MAX)
			return;
		l->line = ++g->n_limit_lines;
	}
	write_line(g, l->line, l->id, l->used);
	l->kept = l->used;
}

static void forget(struct gate *g, const struct limit *l)
{
	if (l->line && g->limits_fd >= 0)
		write_line(g, l->line, "-", 0);
}

/* A line that a crash cut off, or anybody changed, counts for nothing. */
static void read_line(struct gate *g, const char *text, uint32_t line)
{
	char id[POLICY_ID_LEN];
	uint64_t used;
	struct limit *l;

	if (sscanf(text, "%15s %20" SCNu64, id, &used) != 2 || streq(id, "-") ||
		by_id(g, id))
		return;
	l = add(g, id);
	l->used = l->kept = used;
	l->line = line;
}

int limits_open(struct gate *g, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = fd_slurp_at(
		g->birth.dir, LIMITS_FILE, LINES_MAX * LINE_LEN, &text);

	if (n < 0 && n != -ENOENT)
		return err_sys(err, (int)-n, LIMITS_FILE);
	for (; n >= (ssize_t)LINE_LEN * (g->n_limit_lines + 1);
		g->n_limit_lines++)
		read_line(g, text + g->n_limit_lines * LINE_LEN,
			g->n_limit_lines + 1);
	/* Nothing in it counts any more: it begins anew. */
	g->limits_fd = openat(g->birth.dir, LIMITS_FILE,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
			(list_empty(&g->limits) ? O_TRUNC : 0),
		0600);
	if (list_empty(&g->limits))
		g->n_limit_lines = 0;
	return g->limits_fd < 0 ? err_sys(err, errno, LIMITS_FILE) : 0;
}

/* ---- the rules ---- */

static void update(struct gate *g, const struct policy_rule *r)
{
	struct limit *l = by_id(g, r->id);

	if (!l)
		l = add(g, r->id);
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
		forget(g, l);
		list_del(&l->link);
		free(l);
	}
}

void limits_done(struct gate *g)
{
	list_for_each_safe (it, &g->limits) {
		struct limit *l = list_entry(it, struct limit, link);

		keep(g, l);
		list_del(&l->link);
		free(l);
	}
	closep(&g->limits_fd);
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
	if (l->quota && l->used - l->kept >= MIN(KEEP_STEP, l->quota / 16))
		keep(g, l);
	if (!limit_over(l))
		return false;
	if (!before) {
		keep(g, l);
		(void)snprintf(text, sizeof(text),
			"the quota of rule %s is used up", l->id);
		control_event(g, "quota.net", text);
	}
	return true;
}
