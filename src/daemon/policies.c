/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policies.h"

#include "daemon/ask.h"
#include "daemon/gate.h"

#include "base/buf.h"
#include "base/log.h"
#include "wire/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define POLICY_DIR "policy"
#define RULES_FILE "rules"
#define PRESET_FILE "preset"

static const struct preset {
	const char *name;
	const char *text;
} presets[] = {
	{
		"open",
#include "open.rules.inc"
	},
	{
		"balanced",
#include "balanced.rules.inc"
	},
	{
		"closed",
#include "closed.rules.inc"
	},
};

static const struct preset *find_preset(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(presets); i++)
		if (streq(presets[i].name, name))
			return &presets[i];
	return NULL;
}

const char *policies_preset(struct daemon *d)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir = -1;
	const struct preset *p;
	ssize_t n;

	if (daemon_open_dir(d, POLICY_DIR, NULL, &dir, NULL) < 0)
		return "closed";
	n = fd_slurp_at(dir, PRESET_FILE, 64, &text);
	if (n == -ENOENT)
		return POLICIES_PRESET;
	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	p = n > 0 ? find_preset(text) : NULL;
	return p ? p->name : "closed";
}

static int add_file(struct daemon *d, const struct sandbox *sb,
	struct policies *p, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir = -1;
	int r = daemon_open_dir(d, POLICY_DIR, sb, &dir, err);
	ssize_t n;

	if (r < 0)
		return r;
	n = fd_slurp_at(dir, RULES_FILE, GATE_POLICY_MAX, &text);
	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return err_sys(err, (int)-n, "read the rules");
	r = policy_rules_parse(text, (size_t)n, "line", &p->rules, &p->n, err);
	return r < 0 ? err_wrap(err, "the kept rules") : 0;
}

int policies_read(struct daemon *d, const struct sandbox *sb,
	struct policies *ret, struct err *err)
{
	const struct preset *preset = find_preset(policies_preset(d));
	struct policies p = {0};
	int r;

	r = policy_rules_parse(preset->text, strlen(preset->text), preset->name,
		&p.rules, &p.n, err);
	p.n_preset = p.n;
	r = r ? r : add_file(d, NULL, &p, err);
	p.n_global = p.n - p.n_preset;
	if (r == 0 && sb)
		r = add_file(d, sb, &p, err);
	if (r < 0) {
		policies_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

int policies_all(struct daemon *d, const struct sandbox *sb,
	struct policies *ret, struct err *err)
{
	const struct policy_rule *more = NULL;
	struct policies p = {0};
	int r = policies_read(d, sb, &p, err);

	if (r < 0)
		return r;
	if (sb)
		more = ask_rules(sb, &p.n_session);
	if (p.n_session) {
		p.rules =
			xrealloc(p.rules, p.n + p.n_session, sizeof(*p.rules));
		memcpy(p.rules + p.n, more, p.n_session * sizeof(*more));
		p.n += p.n_session;
	}
	*ret = p;
	return 0;
}

void policies_done(struct policies *p)
{
	free(p->rules);
	*p = (struct policies){0};
}

static int put_rules(struct buf *b, const struct policy_rule *rules, size_t n)
{
	char line[POLICY_LINE_MAX];
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		policy_rule_format(&rules[i], line, sizeof(line));
		r = buf_putf(b, "%s\n", line);
	}
	return r;
}

char *policies_text(struct daemon *d, const struct sandbox *sb)
{
	_cleanup_(policies_done) struct policies p = {0};
	_cleanup_(buf_done) struct buf b;
	struct err err = {0};

	buf_init(&b, GATE_POLICY_MAX);
	if (policies_all(d, sb, &p, &err) < 0 ||
		put_rules(&b, p.rules, p.n) < 0) {
		log_error("everything is denied: %s",
			err.code ? err.text : "too many rules");
		return xstrdup("");
	}
	return xstrndup((const char *)buf_head(&b), buf_len(&b));
}

static void push(struct daemon *d, struct sandbox *only)
{
	list_for_each (it, &d->sandboxes) {
		struct sandbox *sb = list_entry(it, struct sandbox, link);

		if (!only || only == sb)
			gate_push(sb);
	}
}

static int write_rules(struct daemon *d, struct sandbox *sb,
	const struct policy_rule *rules, size_t n, struct err *err)
{
	_cleanup_(buf_done) struct buf b;
	_cleanup_close_ int dir = -1;
	int r = daemon_open_dir(d, POLICY_DIR, sb, &dir, err);

	buf_init(&b, GATE_POLICY_MAX / 2);
	if (r < 0)
		return r;
	r = put_rules(&b, rules, n);
	r = r ? r
	      : fd_replace_at(dir, RULES_FILE, buf_head(&b), buf_len(&b), 0600);
	if (r < 0)
		return err_sys(err, -r, "save the rules");
	push(d, sb);
	return 0;
}

int policies_set_preset(struct daemon *d, const char *name, struct err *err)
{
	_cleanup_free_ char *line = xasprintf("%s\n", name);
	_cleanup_close_ int dir = -1;
	int r;

	if (!find_preset(name))
		return err_set(err, EINVAL,
			"no preset '%.40s'; there are: open, balanced, closed",
			name);
	r = daemon_open_dir(d, POLICY_DIR, NULL, &dir, err);
	if (r < 0)
		return r;
	r = fd_replace_at(dir, PRESET_FILE, line, strlen(line), 0600);
	if (r < 0)
		return err_sys(err, -r, "save the preset");
	push(d, NULL);
	return 0;
}

/* The file's own rules are the last ones of what was read. */
static size_t own_rules(const struct policies *p, const struct sandbox *sb)
{
	return sb ? p->n_preset + p->n_global : p->n_preset;
}

int policies_add(struct daemon *d, struct sandbox *sb,
	struct policy_rule *rules, size_t n, struct err *err)
{
	_cleanup_(policies_done) struct policies p = {0};
	int r = policies_read(d, sb, &p, err);
	uint32_t id;
	size_t own;

	if (r < 0)
		return r;
	if (p.n + n > POLICY_RULES_MAX)
		return err_set(
			err, ENOSPC, "more than %d rules", POLICY_RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			return err_sys(err, errno, "random number");
		(void)snprintf(rules[i].id, POLICY_ID_LEN, "r%07x",
			(unsigned)(id & 0xfffffffu));
	}
	own = own_rules(&p, sb);
	p.rules = xrealloc(p.rules, p.n + n, sizeof(*p.rules));
	memcpy(p.rules + p.n, rules, n * sizeof(*rules));
	p.n += n;
	return write_rules(d, sb, p.rules + own, p.n - own, err);
}

int policies_remove(struct daemon *d, struct sandbox *sb, const char *what,
	unsigned *ret_n, struct err *err)
{
	_cleanup_(policies_done) struct policies p = {0};
	int r = policies_read(d, sb, &p, err);
	char target[NAME_MAX_LEN + 32];
	unsigned gone = 0;
	size_t kept, own;

	if (r < 0)
		return r;
	own = kept = own_rules(&p, sb);
	for (size_t i = own; i < p.n; i++) {
		(void)policy_target_format(
			&p.rules[i].target, target, sizeof(target));
		if (streq(p.rules[i].id, what) || streq(target, what))
			gone++;
		else
			p.rules[kept++] = p.rules[i];
	}
	if (gone == 0)
		return err_set(err, ENOENT,
			"no rule '%.80s' here; see: cove policy ls", what);
	*ret_n = gone;
	return write_rules(d, sb, p.rules + own, kept - own, err);
}

bool policies_has_id(struct daemon *d, const struct sandbox *sb, const char *id)
{
	_cleanup_(policies_done) struct policies p = {0};
	bool found = false;

	if (policies_read(d, sb, &p, NULL) < 0)
		return false;
	for (size_t i = own_rules(&p, sb); i < p.n; i++)
		found = found || streq(p.rules[i].id, id);
	return found;
}

int policies_reset(struct daemon *d, struct err *err)
{
	int r = write_rules(d, NULL, NULL, 0, err);

	return r ? r : policies_set_preset(d, POLICIES_PRESET, err);
}
