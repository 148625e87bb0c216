/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/account.h"

#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LINE_SIZE 8192 /* longer lines are ignored; a group may be long */
#define DEFAULT_SHELL "/bin/sh"

bool account_id(const char *s, uint32_t *ret)
{
	uint64_t v = 0;

	if (!*s || strlen(s) > 10)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	/* -1 means "leave it" to setuid and its kin. */
	if (v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

const char *account_line(const char *text, char *line, size_t size,
	char **fields, size_t max, size_t *ret_n)
{
	size_t len = strcspn(text, "\n");
	size_t n = 0;

	*ret_n = 0;
	if (!*text)
		return NULL;
	if (len < size && len && text[0] != '#') {
		memcpy(line, text, len);
		line[len] = '\0';
		fields[n++] = line;
		for (char *p = line; n < max && (p = strchr(p, ':')); n++) {
			*p++ = '\0';
			fields[n] = p;
		}
		*ret_n = n;
	}
	return text + len + (text[len] == '\n');
}

/* Name, password, uid, gid, comment, home, shell. */
static bool match_user(char **f, size_t n, const char *who, bool by_id,
	uint32_t id, struct account *ret)
{
	uint32_t uid, gid;

	if (n < 4 || !account_id(f[2], &uid) || !account_id(f[3], &gid))
		return false;
	if (by_id ? uid != id : !streq(f[0], who))
		return false;
	ret->uid = uid;
	ret->gid = gid;
	ret->name = xstrdup(f[0]);
	ret->home = xstrdup(n > 5 && f[5][0] == '/' ? f[5] : "/");
	ret->shell = xstrdup(n > 6 && f[6][0] == '/' ? f[6] : DEFAULT_SHELL);
	return true;
}

/* A name wins over a number: Debian allows names of digits. */
static bool find_user(const char *passwd, const char *who, bool by_id,
	uint32_t id, struct account *ret)
{
	char line[LINE_SIZE];
	char *f[8];
	size_t n;

	while ((passwd = account_line(
			passwd, line, sizeof(line), f, ARRAY_SIZE(f), &n)))
		if (match_user(f, n, who, by_id, id, ret))
			return true;
	return false;
}

static int find_any_user(const char *passwd, const char *who,
	struct account *ret, struct err *err)
{
	uint32_t id;

	if (find_user(passwd, who, false, 0, ret))
		return 0;
	if (!account_id(who, &id))
		return err_set(
			err, ENOENT, "no user named '%s' in this sandbox", who);
	if (find_user(passwd, who, true, id, ret))
		return 0;
	ret->uid = id;
	ret->gid = 0;
	ret->name = xstrdup("");
	ret->home = xstrdup("/");
	ret->shell = xstrdup(DEFAULT_SHELL);
	return 0;
}

static int find_group(
	const char *group, const char *who, gid_t *ret, struct err *err)
{
	char line[LINE_SIZE];
	char *f[4];
	uint32_t id;
	size_t n;

	while ((group = account_line(
			group, line, sizeof(line), f, ARRAY_SIZE(f), &n)))
		if (n >= 3 && streq(f[0], who) && account_id(f[2], &id)) {
			*ret = id;
			return 0;
		}
	if (!account_id(who, &id))
		return err_set(err, ENOENT,
			"no group named '%s' in this sandbox", who);
	*ret = id;
	return 0;
}

static bool is_member(char *members, const char *name)
{
	char *save = NULL;

	for (char *m = strtok_r(members, ",", &save); m;
		m = strtok_r(NULL, ",", &save))
		if (streq(m, name))
			return true;
	return false;
}

static void add_group(struct account *a, gid_t gid)
{
	for (size_t i = 0; i < a->n_groups; i++)
		if (a->groups[i] == gid)
			return;
	if (a->n_groups < ACCOUNT_GROUPS)
		a->groups[a->n_groups++] = gid;
}

static void add_groups(struct account *a, const char *group)
{
	char line[LINE_SIZE];
	char *f[4];
	uint32_t id;
	size_t n;

	add_group(a, a->gid);
	if (!a->name[0])
		return;
	while ((group = account_line(
			group, line, sizeof(line), f, ARRAY_SIZE(f), &n)))
		if (n == 4 && account_id(f[2], &id) && is_member(f[3], a->name))
			add_group(a, id);
}

int account_find(const char *passwd, const char *group, const char *spec,
	struct account *ret, struct err *err)
{
	_cleanup_(account_done) struct account a = {0};
	const char *colon = strchr(spec, ':');
	_cleanup_free_ char *who =
		xstrndup(spec, colon ? (size_t)(colon - spec) : strlen(spec));
	int r;

	if (!who[0] || (colon && !colon[1]))
		return err_set(
			err, EINVAL, "'%s' is not USER or USER:GROUP", spec);
	r = find_any_user(passwd, who, &a, err);
	if (r < 0)
		return r;
	if (colon) {
		r = find_group(group, colon + 1, &a.gid, err);
		if (r < 0)
			return r;
		add_group(&a, a.gid);
	} else {
		add_groups(&a, group);
	}
	*ret = a;
	a = (struct account){0};
	return 0;
}

/* Everything that cannot be read as a text of sane size counts as empty. */
static char *slurp(int dirfd, const char *name)
{
	char *text;

	if (fd_slurp_at(dirfd, name, ACCOUNT_FILE_MAX, &text) < 0)
		return xstrdup("");
	return text;
}

int account_load(const char *etc_dir, const char *spec, struct account *ret,
	struct err *err)
{
	_cleanup_close_ int dirfd =
		open(etc_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *passwd = slurp(dirfd, "passwd");
	_cleanup_free_ char *group = slurp(dirfd, "group");

	return account_find(passwd, group, spec, ret, err);
}

void account_done(struct account *a)
{
	free(a->name);
	free(a->home);
	free(a->shell);
	*a = (struct account){0};
}
