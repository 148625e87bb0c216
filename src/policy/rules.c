/* SPDX-License-Identifier: Apache-2.0 */
/* Rule files and the HTTP part of rules. */
#include "policy/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* RFC 9110 section 9.1: a token; ours are upper case letters and '-'. */
static bool method_valid(const char *p, size_t len)
{
	if (len == 0 || len >= POLICY_METHOD_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!((p[i] >= 'A' && p[i] <= 'Z') || p[i] == '-'))
			return false;
	}
	return true;
}

int policy_methods_parse(
	const char *text, struct policy_rule *rule, struct err *err)
{
	uint8_t n = 0;

	while (*text) {
		size_t len = strcspn(text, ",");
		char m[POLICY_METHOD_LEN] = "";

		for (size_t i = 0; i < len && i < sizeof(m) - 1; i++) {
			bool lower = text[i] >= 'a' && text[i] <= 'z';

			m[i] = (char)(lower ? text[i] - 32 : text[i]);
		}
		if (len >= sizeof(m) || !method_valid(m, len))
			return err_set(
				err, EINVAL, "'%.40s' is no HTTP method", text);
		if (n == POLICY_METHODS_MAX)
			return err_set(err, EINVAL,
				"more than %d methods in one rule",
				POLICY_METHODS_MAX);
		memcpy(rule->methods[n++], m, sizeof(m));
		text += len;
		text += *text == ',';
	}
	if (n == 0)
		return err_set(err, EINVAL, "a method list is empty");
	rule->n_methods = n;
	return 0;
}

static bool path_valid(const char *p)
{
	if (p[0] != '/' || strlen(p) >= POLICY_PATH_MAX)
		return false;
	for (const char *c = p; *c; c++) {
		if ((uint8_t)*c <= ' ' || (uint8_t)*c >= 0x7f || *c == '?' ||
			*c == '#' || *c == '\\')
			return false;
		if (c[0] == '/' && c[1] == '.' &&
			(c[2] == '/' || c[2] == '\0' ||
				(c[2] == '.' && (c[3] == '/' || c[3] == '\0'))))
			return false;
	}
	return true;
}

int policy_path_parse(
	const char *text, struct policy_rule *rule, struct err *err)
{
	if (!path_valid(text))
		return err_set(err, EINVAL,
			"path '%.80s': begins with '/', has no '?', '#', '.' or "
			"'..' segment and at most %d bytes",
			text, POLICY_PATH_MAX - 1);
	(void)snprintf(rule->path, sizeof(rule->path), "%s", text);
	return 0;
}

/*
 * '*' stops at '/', '**' does not. Backtracks to the last '*' and the last
 * '**' only, so the time is bounded by glob times path, squared at worst for
 * strings of a few hundred bytes.
 */
bool policy_path_match(const char *glob, const char *path)
{
	const char *star = NULL, *star_at = NULL;
	const char *deep = NULL, *deep_at = NULL;

	for (;;) {
		if (glob[0] == '*' && glob[1] == '*') {
			glob += 2;
			deep = glob;
			deep_at = path;
			star = NULL;
		} else if (glob[0] == '*') {
			star = ++glob;
			star_at = path;
		} else if (*path && *glob == *path) {
			glob++;
			path++;
		} else if (!*path && !*glob) {
			return true;
		} else if (star && *star_at && *star_at != '/') {
			glob = star;
			path = ++star_at;
		} else if (deep && *deep_at) {
			star = NULL;
			glob = deep;
			path = ++deep_at;
		} else {
			return false;
		}
	}
}

static int id_parse(const char *text, struct policy_rule *rule, struct err *err)
{
	size_t len = strlen(text);

	if (len == 0 || len >= POLICY_ID_LEN ||
		strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") != len)
		return err_set(err, EINVAL, "'%.40s' is no rule id", text);
	memcpy(rule->id, text, len + 1);
	return 0;
}

static int number(const char *text, const char *end, uint64_t *ret)
{
	uint64_t v = 0;

	if (text == end)
		return -EINVAL;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' || !mul_ok(v, 10, &v) ||
			!add_ok(v, (uint64_t)(*text - '0'), &v))
			return -EINVAL;
	}
	*ret = v;
	return 0;
}

/* "UP/DOWN", 0 for none of one. */
static int rate_word(const char *w, struct policy_rule *r, struct err *err)
{
	const char *slash = strchr(w, '/');

	if (slash && number(w, slash, &r->rate_up) == 0 &&
		number(slash + 1, slash + strlen(slash), &r->rate_down) == 0)
		return 0;
	return err_set(err, EINVAL,
		"rate '%.40s' is not UP/DOWN in bytes a second", w);
}

static int quota_word(const char *w, struct policy_rule *r, struct err *err)
{
	if (number(w, w + strlen(w), &r->quota) == 0)
		return 0;
	return err_set(err, EINVAL, "quota '%.40s' is no number of bytes", w);
}

static int apply_word(const char *w, struct policy_rule *r, struct err *err)
{
	if (streq(w, "udp")) {
		r->udp = true;
		return 0;
	}
	if (strncmp(w, "method=", 7) == 0)
		return policy_methods_parse(w + 7, r, err);
	if (strncmp(w, "path=", 5) == 0)
		return policy_path_parse(w + 5, r, err);
	if (strncmp(w, "id=", 3) == 0)
		return id_parse(w + 3, r, err);
	if (strncmp(w, "rate=", 5) == 0)
		return rate_word(w + 5, r, err);
	if (strncmp(w, "quota=", 6) == 0)
		return quota_word(w + 6, r, err);
	return err_set(err, EINVAL,
		"'%.40s' is not udp, method=, path=, rate=, quota= or id=", w);
}

/* One line without its comment; 1 a rule, 0 blank. */
static int parse_line(char *line, struct policy_rule *ret, struct err *err)
{
	struct policy_rule r = {.allow = false};
	char *save = NULL;
	char *w = strtok_r(line, " \t\r", &save);
	int rc;

	if (!w)
		return 0;
	r.allow = streq(w, "allow");
	if (!r.allow && !streq(w, "deny"))
		return err_set(err, EINVAL, "'%.40s' is not allow or deny", w);
	w = strtok_r(NULL, " \t\r", &save);
	if (!w)
		return err_set(err, EINVAL, "a target is missing");
	rc = policy_target_parse(w, &r.target, err);
	while (rc == 0 && (w = strtok_r(NULL, " \t\r", &save)))
		rc = apply_word(w, &r, err);
	if (rc < 0)
		return rc;
	if (r.udp && (r.n_methods || r.path[0]))
		return err_set(err, EINVAL, "udp has no method or path");
	if (!r.allow && (r.rate_up || r.rate_down || r.quota))
		return err_set(err, EINVAL, "only allow has a rate or a quota");
	*ret = r;
	return 1;
}

int policy_rules_parse(const char *text, size_t len, const char *id_prefix,
	struct policy_rule **rules, size_t *n_rules, struct err *err)
{
	_cleanup_free_ struct policy_rule *out = NULL;
	_cleanup_free_ char *copy = NULL;
	size_t n = *n_rules;
	unsigned line_no = 0;
	char *line, *next;
	int r;

	if (memchr(text, '\0', len))
		return err_set(err, EINVAL, "a rule file holds a NUL byte");
	copy = xstrndup(text, len);
	out = xcalloc(n + 1, sizeof(*out));
	if (n)
		memcpy(out, *rules, n * sizeof(*out));
	for (line = copy; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line[strcspn(line, "#")] = '\0';
		line_no++;
		if (n == POLICY_RULES_MAX)
			return err_set(err, EINVAL, "more than %d rules",
				POLICY_RULES_MAX);
		out = xrealloc(out, n + 1, sizeof(*out));
		r = parse_line(line, &out[n], err);
		if (r < 0)
			return err_wrap(err, "line %u", line_no);
		if (r > 0 && !out[n].id[0])
			(void)snprintf(out[n].id, POLICY_ID_LEN, "%.8s%u",
				id_prefix, line_no);
		n += r > 0;
	}
	free(*rules);
	*rules = TAKE_PTR(out);
	*n_rules = n;
	return 0;
}

void policy_rule_format(const struct policy_rule *r, char *buf, size_t len)
{
	char target[NAME_MAX_LEN + 32];
	size_t n;

	(void)snprintf(buf, len, "%s %s%s", r->allow ? "allow" : "deny",
		policy_target_format(&r->target, target, sizeof(target)),
		r->udp ? " udp" : "");
	for (uint8_t i = 0; i < r->n_methods; i++) {
		n = strlen(buf);
		(void)snprintf(buf + n, len - n, "%s%s",
			i == 0 ? " method=" : ",", r->methods[i]);
	}
	n = strlen(buf);
	if (r->path[0])
		(void)snprintf(buf + n, len - n, " path=%s", r->path);
	n = strlen(buf);
	if (r->rate_up || r->rate_down)
		(void)snprintf(buf + n, len - n, " rate=%" PRIu64 "/%" PRIu64,
			r->rate_up, r->rate_down);
	n = strlen(buf);
	if (r->quota)
		(void)snprintf(buf + n, len - n, " quota=%" PRIu64, r->quota);
	n = strlen(buf);
	if (r->id[0])
		(void)snprintf(buf + n, len - n, " id=%s", r->id);
}
