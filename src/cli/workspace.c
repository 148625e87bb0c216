/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/workspace.h"
#include "cli/name.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

void workspace_done(struct workspace *p)
{
	free(p->host);
	free(p->guest);
	*p = (struct workspace){0};
}

bool workspace_is_path(const char *arg)
{
	return strpbrk(arg, "/.") != NULL;
}

/* Length without a trailing ":ro" (or ":rw", which says what is so anyway). */
static size_t cut_mode(const char *arg, bool *ret_ro)
{
	size_t len = strlen(arg);

	*ret_ro = len > 3 && streq(arg + len - 3, ":ro");
	if (*ret_ro || (len > 3 && streq(arg + len - 3, ":rw")))
		return len - 3;
	return len;
}

static int resolve_host(const char *path, char **ret, struct err *err)
{
	char *real = realpath(path, NULL);

	if (!real)
		return err_sys(err, errno, "cannot share '%s'", path);
	*ret = real;
	return 0;
}

/* A guest path is compared and shown, so it has one spelling. */
static int check_guest(const char *arg, const char *guest, struct err *err)
{
	if (strlen(guest) >= PATH_MAX)
		return err_set(
			err, EINVAL, "the path in the sandbox is too long");
	if (streq(guest, "/"))
		return err_set(err, EINVAL,
			"'%s' would hide the whole sandbox; name a directory "
			"below /",
			arg);
	if (strchr(guest, ':'))
		return err_set(err, EINVAL,
			"'%s': only ':ro' may follow the path in the sandbox",
			arg);
	for (const char *p = guest; p; p = strchr(p + 1, '/')) {
		size_t n = strcspn(p + 1, "/");
		if (n == 0 || (n == 1 && p[1] == '.') ||
			(n == 2 && p[1] == '.' && p[2] == '.'))
			return err_set(err, EINVAL,
				"the path in the sandbox must be plain, "
				"without '//', '.' or '..': '%s'",
				guest);
	}
	return 0;
}

int workspace_parse(const char *arg, struct workspace *ret, struct err *err)
{
	bool ro;
	_cleanup_free_ char *path = xstrndup(arg, cut_mode(arg, &ro));
	_cleanup_free_ char *real = NULL;

	int r = resolve_host(path, &real, err);
	if (r < 0)
		return r;
	if (workspace_is_system(real))
		return err_set(err, EINVAL,
			"sharing '%s' under its own name would hide the "
			"sandbox's own system; map it elsewhere: "
			"--mount %s:/mnt/host%s",
			real, real, ro ? ":ro" : "");
	ret->guest = xstrdup(real);
	ret->host = TAKE_PTR(real);
	ret->ro = ro;
	return 0;
}

/* The last ":/" splits, so that a host path may hold a colon. */
static const char *find_split(const char *s)
{
	const char *split = NULL;

	for (const char *p = s; (p = strstr(p, ":/")); p++)
		split = p;
	return split;
}

int workspace_mount(const char *arg, struct workspace *ret, struct err *err)
{
	bool ro;
	_cleanup_free_ char *both = xstrndup(arg, cut_mode(arg, &ro));
	_cleanup_free_ char *real = NULL;
	const char *split = find_split(both);

	if (!split || split == both)
		return err_set(err, EINVAL,
			"'%s' is not HOST:GUEST[:ro] with an absolute GUEST",
			arg);
	_cleanup_free_ char *host = xstrndup(both, (size_t)(split - both));
	_cleanup_free_ char *guest = xstrdup(split + 1);
	size_t len = strlen(guest);
	if (len > 1 && guest[len - 1] == '/')
		guest[len - 1] = '\0';
	int r = check_guest(arg, guest, err);
	if (r < 0)
		return r;
	r = resolve_host(host, &real, err);
	if (r < 0)
		return r;
	*ret = (struct workspace){TAKE_PTR(real), TAKE_PTR(guest), ro};
	return 0;
}

/*
 * Sharing one of these under its own name would hide the sandbox's own system
 * files; a person who means it can still say so with --mount.
 */
bool workspace_is_system(const char *path)
{
	static const char *const exact[] = {"/", "/bin", "/boot", "/etc",
		"/home", "/lib", "/lib32", "/lib64", "/libx32", "/run", "/sbin",
		"/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/var"};
	static const char *const below[] = {
		"/dev", "/proc", "/sys", "/run/cove"};

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (streq(path, exact[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(below); i++)
		if (path_below(path, below[i]))
			return true;
	return false;
}

bool path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (streq(dir, "/"))
		return true;
	return strncmp(path, dir, n) == 0 &&
		(path[n] == '\0' || path[n] == '/');
}

static bool meets_own(const char *path, const char *const *own)
{
	for (; *own; own++) {
		_cleanup_free_ char *real = realpath(*own, NULL);
		const char *dir = real ? real : *own;
		if (path_below(dir, path) || path_below(path, dir))
			return true;
	}
	return false;
}

int workspace_cwd(const char *const *own, struct workspace *ret,
	enum workspace_cwd *ret_kind, struct err *err)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);

	/* getcwd() says "(unreachable)/..." when the directory was unmounted. */
	if (!cwd || cwd[0] != '/')
		return err_set(err, ENOENT,
			"the current directory is gone; change to one that "
			"exists, or name a PATH");
	if (workspace_is_system(cwd)) {
		*ret_kind = CWD_SYSTEM;
		return 0;
	}
	if (meets_own(cwd, own)) {
		*ret_kind = CWD_OWN;
		return 0;
	}
	*ret_kind = CWD_SHARE;
	ret->guest = xstrdup(cwd);
	ret->host = TAKE_PTR(cwd);
	ret->ro = false;
	return 0;
}

void cp_side_done(struct cp_side *s)
{
	free(s->sandbox);
	free(s->path);
	*s = (struct cp_side){0};
}

/* "./a:b" is a host path: a name before the colon has no '/'. */
int cp_side_parse(const char *arg, struct cp_side *ret, struct err *err)
{
	const char *colon = strchr(arg, ':');

	if (*arg == '\0')
		return err_set(err, EINVAL, "an empty path");
	if (!colon || memchr(arg, '/', (size_t)(colon - arg))) {
		ret->path = xstrdup(arg);
		return 0;
	}
	_cleanup_free_ char *name = xstrndup(arg, (size_t)(colon - arg));
	int r = name_check(name, err);
	if (r < 0)
		return r;
	if (colon[1] != '/')
		return err_set(err, EINVAL,
			"the path in a sandbox must be absolute: '%s' (for a "
			"file of this host write ./%s)",
			arg, arg);
	if (strlen(colon + 1) >= PATH_MAX)
		return err_set(
			err, EINVAL, "the path in the sandbox is too long");
	ret->sandbox = TAKE_PTR(name);
	ret->path = xstrdup(colon + 1);
	return 0;
}
