/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/account.h"

#include "base/fd.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DEFAULT_SHELL "/bin/sh"

/* A part of a file's text; nothing is copied until it is wanted. */
struct span {
	const char *p;
	size_t len;
};

static struct span span_of(const char *s)
{
	return (struct span){s, strlen(s)};
}

static bool span_is(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* The text up to the next `end` or to the end of s, which is cut from s. */
static struct span span_cut(struct span *s, char end)
{
	const char *at = memchr(s->p, end, s->len);
	struct span r = {s->p, at ? (size_t)(at - s->p) : s->len};
	size_t used = r.len + (at ? 1 : 0);

	s->p += used;
	s->len -= used;
	return r;
}

static bool span_id(struct span s, uint32_t *ret)
{
	uint64_t v = 0;

	if (!s.len || s.len > 10)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	/* -1 means "leave it" to setuid and its kin. */
	if (v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

bool account_id(const char *s, uint32_t *ret)
{
	return span_id(span_of(s), ret);
}

/* The fields of a line; 0 of them for one to be skipped. */
static size_t split(struct span line, struct span *fields, size_t max)
{
	size_t n = 0;

	if (!line.len || line.p[0] == '#')
		return 0;
	while (n < max && line.len)
		fields[n++] = span_cut(&line, ':');
	return n;
}

/* An absolute path or the fallback. */
static char *path_or(
	size_t n, const struct span *f, size_t i, const char *fallback)
{
	if (i < n && f[i].len && f[i].p[0] == '/')
		return xstrndup(f[i].p, f[i].len);
	return xstrdup(fallback);
}

/* Name, password, uid, gid, comment, home, shell. */
static bool match_user(const struct span *f, size_t n, struct span who,
	bool by_id, uint32_t id, struct account *ret)
{
	uint32_t uid, gid;

	if (n < 4 || !span_id(f[2], &uid) || !span_id(f[3], &gid))
		return false;
	if (by_id ? uid != id : !span_is(f[0], who))
		return false;
	ret->uid = uid;
	ret->gid = gid;
	ret->name = xstrndup(f[0].p, f[0].len);
	ret->home = path_or(n, f, 5, "/");
	ret->shell = path_or(n, f, 6, DEFAULT_SHELL);
	return true;
}

static bool find_user(const char *passwd, struct span who, bool by_id,
	uint32_t id, struct account *ret)
{
	struct span text = span_of(passwd);
	struct span f[8];

	while (text.len) {
		struct span line = span_cut(&text, '\n');

		/* Most lines are of somebody else: no need to split them. */
		if (!by_id &&
			(line.len < who.len || memcmp(line.p, who.p, who.len)))
			continue;
		if (match_user(f, split(line, f, ARRAY_SIZE(f)), who, by_id, id,
			    ret))
			return true;
	}
	return false;
}

/* A name wins over a number: Debian allows names of digits. */
static int find_any_user(const char *passwd, struct span who,
	struct account *ret, struct err *err)
{
	uint32_t id;

	if (find_user(passwd, who, false, 0, ret))
		return 0;
	if (!span_id(who, &id))
		return err_set(err, ENOENT,
			"no user named '%.*s' in this sandbox", (int)who.len,
			who.p);
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
	const char *group, struct span who, gid_t *ret, struct err *err)
{
	struct span text = span_of(group);
	struct span f[4];
	uint32_t id;

	while (text.len) {
		size_t n = split(span_cut(&text, '\n'), f, ARRAY_SIZE(f));

		if (n >= 3 && span_is(f[0], who) && span_id(f[2], &id)) {
			*ret = id;
			return 0;
		}
	}
	if (!span_id(who, &id))
		return err_set(err, ENOENT,
			"no group named '%.*s' in this sandbox", (int)who.len,
			who.p);
	*ret = id;
	return 0;
}

static bool is_member(struct span members, struct span name)
{
	while (members.len)
		if (span_is(span_cut(&members, ','), name))
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
	struct span text = span_of(group);
	struct span name = span_of(a->name);
	struct span f[4];
	uint32_t id;

	add_group(a, a->gid);
	while (name.len && text.len) {
		struct span line = span_cut(&text, '\n');
		size_t n;

		/* Most groups have no members. */
		if (!line.len || line.p[line.len - 1] == ':')
			continue;
		n = split(line, f, ARRAY_SIZE(f));
		if (n == 4 && span_id(f[2], &id) && is_member(f[3], name))
			add_group(a, id);
	}
}

int account_find(const char *passwd, const char *group, const char *spec,
	struct account *ret, struct err *err)
{
	_cleanup_(account_done) struct account a = {0};
	struct span who, grp = span_of(spec);
	bool with_group = strchr(spec, ':');
	int r;

	who = span_cut(&grp, ':');
	if (!who.len || (with_group && !grp.len))
		return err_set(
			err, EINVAL, "'%s' is not USER or USER:GROUP", spec);
	r = find_any_user(passwd, who, &a, err);
	if (r < 0)
		return r;
	assert(a.name);
	if (with_group) {
		r = find_group(group, grp, &a.gid, err);
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

/* A file's text; small ones, which is nearly all, need no allocation. */
struct text {
	char small[4096];
	char *heap;
};

/* Everything that cannot be read as a text of sane size counts as empty. */
static const char *text_read(struct text *t, int dirfd, const char *name)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, t->small, sizeof(t->small) - 1);

	t->heap = NULL;
	if (n == (ssize_t)sizeof(t->small) - 1) {
		if (fd_slurp_at(dirfd, name, ACCOUNT_FILE_MAX, &t->heap) >= 0)
			return t->heap;
		t->heap = NULL;
		n = 0;
	}
	t->small[MAX(n, 0)] = '\0';
	return t->small;
}

int account_load(const char *etc_dir, const char *spec, struct account *ret,
	struct err *err)
{
	static struct text passwd, group;
	_cleanup_close_ int dirfd =
		open(etc_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = account_find(text_read(&passwd, dirfd, "passwd"),
		text_read(&group, dirfd, "group"), spec, ret, err);

	free(passwd.heap);
	free(group.heap);
	return r;
}

void account_done(struct account *a)
{
	free(a->name);
	free(a->home);
	free(a->shell);
	*a = (struct account){0};
}
