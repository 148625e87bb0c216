/* SPDX-License-Identifier: Apache-2.0 */
#include "image/debian.h"

#include "base/fd.h"
#include "image/cache.h"
#include "image/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#define OUT_MAX (1 * MIB)

void args_add(struct args *a, char *owned)
{
	a->v = xrealloc(a->v, a->n + 2, sizeof(*a->v));
	a->v[a->n++] = owned;
	a->v[a->n] = NULL;
}

void args_done(struct args *a)
{
	for (size_t k = 0; k < a->n; k++)
		free(a->v[k]);
	free(a->v);
	*a = (struct args){0};
}

/* Mirrors. */

static bool plain_uri(const char *s, size_t len)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789:/._-~%+@=&?,[]";
	_cleanup_free_ char *uri = xstrndup(s, len);

	return len > 0 && len < 1024 && strstr(uri, ":/") &&
		strspn(uri, ok) == len;
}

/* The first "LABEL URI" line with this label; heap string or NULL. */
static char *mirror_of(const char *lines, const char *label)
{
	size_t n = strlen(label);

	for (const char *at = lines; *at;) {
		size_t len = strcspn(at, "\n");

		if (len > n + 1 && strncmp(at, label, n) == 0 && at[n] == ' ' &&
			plain_uri(at + n + 1, len - n - 1))
			return xstrndup(at + n + 1, len - n - 1);
		at += len + (at[len] == '\n');
	}
	return NULL;
}

static void add_source(struct args *a, const char *uri, const char *suite)
{
	args_add(a,
		xasprintf("deb [signed-by=" DEBIAN_KEYRING "] %s %s main", uri,
			suite));
}

int debian_sources(struct args *a, struct err *err)
{
	const char *argv[] = {"apt-get", "indextargets", "--format",
		"$(LABEL) $(REPO_URI)", "Created-By: Packages",
		"Origin: Debian", "Component: main", NULL};
	_cleanup_free_ char *out = NULL, *main_uri = NULL, *security = NULL;
	int r = child_run(argv, NULL, "apt", OUT_MAX, &out, err);

	if (r < 0)
		return r;
	main_uri = mirror_of(out, "Debian");
	security = mirror_of(out, "Debian-Security");
	if (!main_uri)
		return err_set(err, ENOENT,
			"apt on this host knows no Debian mirror; check "
			"/etc/apt/sources.list.d and run 'apt-get update'");
	if (access(DEBIAN_KEYRING, R_OK) < 0)
		return err_set(err, ENOENT,
			DEBIAN_KEYRING " is missing; install package "
				       "debian-archive-keyring");
	add_source(a, main_uri, DEBIAN_SUITE);
	add_source(a, main_uri, DEBIAN_SUITE "-updates");
	if (security)
		add_source(a, security, DEBIAN_SUITE "-security");
	return 0;
}

/* Network settings. */

static bool wanted_option(const char *line)
{
	static const char *const keys[] = {
		"Acquire::http::Proxy",
		"Acquire::https::Proxy",
		"Acquire::http::Timeout",
		"Acquire::https::Timeout",
		"Acquire::https::CAInfo",
		"Acquire::Retries",
		"Acquire::ForceIPv",
		"Acquire::Check-Date",
		"Acquire::Check-Valid-Until",
	};

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
		if (strncmp(line, keys[k], strlen(keys[k])) == 0)
			return true;
	return false;
}

int debian_apt_options(struct args *a, struct err *err)
{
	const char *argv[] = {"apt-config", "dump", NULL};
	_cleanup_free_ char *out = NULL;
	int r = child_run(argv, NULL, "apt", OUT_MAX, &out, err);
	size_t len;

	if (r < 0)
		return r;
	for (const char *at = out; *at; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		if (len < 1024 && wanted_option(at))
			args_add(a, xasprintf("--aptopt=%.*s", (int)len, at));
	}
	return 0;
}

/* User namespaces. */

static long proc_number(const char *path, long missing)
{
	_cleanup_free_ char *text = NULL;

	if (fd_slurp_at(AT_FDCWD, path, 64, &text) <= 0)
		return missing;
	return strtol(text, NULL, 10);
}

/* ":first:count" with a count that reaches 65535, nobody's number. */
static bool range_ok(const char *s)
{
	char *end = NULL;
	unsigned long count;

	if (*s != ':')
		return false;
	(void)strtoul(s + 1, &end, 10);
	if (*end != ':')
		return false;
	count = strtoul(end + 1, &end, 10);
	return *end == '\0' && count >= 65536;
}

/* Has the file a line "NAME:first:count" or "UID:first:count"? */
static bool has_range(const char *path, const char *name, uid_t uid)
{
	_cleanup_free_ char *number = xasprintf("%u", uid);
	_cleanup_free_ char *text = NULL;

	if (fd_slurp_at(AT_FDCWD, path, MIB, &text) <= 0)
		return false;
	for (char *save, *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		size_t n = strcspn(line, ":");

		if (!range_ok(line + n))
			continue;
		line[n] = '\0';
		if (streq(line, name) || streq(line, number))
			return true;
	}
	return false;
}

int debian_check_user(struct err *err)
{
	_cleanup_free_ char *newuidmap = NULL;
	uid_t uid = geteuid();
	struct passwd *pw;

	if (uid == 0)
		return 0;
	pw = getpwuid(uid);
	newuidmap = child_find("newuidmap");
	if (!newuidmap)
		return err_set(err, ENOENT,
			"newuidmap is not installed; install package uidmap");
	if (!pw || !has_range("/etc/subuid", pw->pw_name, uid) ||
		!has_range("/etc/subgid", pw->pw_name, uid))
		return err_set(err, EPERM,
			"this user has no 65536 subordinate ids; as root: "
			"usermod --add-subuids 100000-165535 --add-subgids "
			"100000-165535 %s",
			pw ? pw->pw_name : "USER");
	if (proc_number("/proc/sys/user/max_user_namespaces", 1) == 0 ||
		proc_number("/proc/sys/kernel/unprivileged_userns_clone", 1) ==
			0)
		return err_set(err, EPERM,
			"user namespaces are forbidden on this host; as root: "
			"sysctl kernel.unprivileged_userns_clone=1 "
			"user.max_user_namespaces=10000");
	return 0;
}

/* Space. */

static bool may_run_there(const char *dir)
{
	struct statvfs v;

	return access(dir, W_OK | X_OK) == 0 && statvfs(dir, &v) == 0 &&
		!(v.f_flag & (ST_NOEXEC | ST_RDONLY));
}

int debian_tmpdir(uint64_t need, struct err *err)
{
	const char *own = getenv("TMPDIR");
	const char *places[] = {
		own && *own == '/' ? own : "/tmp", "/tmp", "/var/tmp"};

	for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
		if (!may_run_there(places[k]) ||
			cache_space(places[k], need, err) < 0)
			continue;
		setenv("TMPDIR", places[k], 1);
		return 0;
	}
	if (!err || !err->code)
		return err_set(err, EACCES,
			"no temporary directory where programs may run; set "
			"TMPDIR");
	return err_wrap(err, "not enough room for the build; set TMPDIR");
}
