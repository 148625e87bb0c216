/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

/* The XDG specification: a relative path is invalid and ignored. */
static char *xdg(const char *var, const char *home, const char *below)
{
	const char *dir = env(var);

	if (dir && dir[0] == '/')
		return xasprintf("%s/cove", dir);
	return xasprintf("%s/%s/cove", home, below);
}

static int init_home(struct paths *p, const char *home, struct err *err)
{
	char cwd[PATH_MAX] = "";
	const char *slash = "";

	if (home[0] != '/') {
		if (!getcwd(cwd, sizeof(cwd)))
			return err_sys(err, errno, "current directory");
		slash = "/";
	}
	p->run = xasprintf("%s%s%s/run", cwd, slash, home);
	p->state = xasprintf("%s%s%s/state", cwd, slash, home);
	p->cache = xasprintf("%s%s%s/cache", cwd, slash, home);
	p->config = xasprintf("%s%s%s/config", cwd, slash, home);
	return 0;
}

int paths_init(struct paths *p, struct err *err)
{
	const char *run = env("XDG_RUNTIME_DIR");
	const char *home = env("COVE_HOME");

	*p = (struct paths){0};
	if (home)
		return init_home(p, home, err);
	home = env("HOME");
	if (!home || home[0] != '/')
		return err_set(
			err, ENOENT, "HOME is not set; set it, or COVE_HOME");
	p->state = xdg("XDG_STATE_HOME", home, ".local/state");
	p->cache = xdg("XDG_CACHE_HOME", home, ".cache");
	p->config = xdg("XDG_CONFIG_HOME", home, ".config");
	if (run && run[0] == '/')
		p->run = xasprintf("%s/cove", run);
	else
		p->run = xasprintf("%s/run", p->state);
	return 0;
}

void paths_done(struct paths *p)
{
	free(p->run);
	free(p->state);
	free(p->cache);
	free(p->config);
	*p = (struct paths){0};
}

int paths_make(const char *path, struct err *err)
{
	_cleanup_free_ char *work = xstrdup(path);
	struct stat st;

	for (char *s = work + (work[0] == '/'); *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(work, 0700) < 0 && errno != EEXIST)
			return err_sys(err, errno, "cannot create %s", work);
		*s = '/';
	}
	if (mkdir(work, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot create %s", work);
	if (stat(work, &st) < 0)
		return err_sys(err, errno, "%s", work);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "%s is not a directory", work);
	return 0;
}

/* A build tree has every program in a directory of its own, side by side. */
static char *find_in_build_tree(const char *dir, const char *name)
{
	_cleanup_free_ char *pattern = xasprintf("%s/../*/%s", dir, name);
	char *found = NULL;
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return NULL;
	for (size_t i = 0; i < g.gl_pathc && !found; i++)
		if (access(g.gl_pathv[i], X_OK) == 0)
			found = xstrdup(g.gl_pathv[i]);
	globfree(&g);
	return found;
}

static char *find_near(const char *dir, const char *name)
{
	static const char *const places[] = {"", "../libexec/cove/"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path =
			xasprintf("%s/%s%s", dir, places[i], name);

		if (access(path, X_OK) == 0)
			return TAKE_PTR(path);
	}
	return find_in_build_tree(dir, name);
}

int paths_program(const char *name, char **ret, struct err *err)
{
	const char *libexec = env("COVE_LIBEXEC");
	_cleanup_free_ char *found = NULL;
	char exe[PATH_MAX];
	ssize_t n;

	if (libexec) {
		found = xasprintf("%s/%s", libexec, name);
		if (access(found, X_OK) < 0)
			return err_sys(
				err, errno, "%s (from COVE_LIBEXEC)", found);
	} else {
		n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
		if (n < 0)
			return err_sys(err, errno, "/proc/self/exe");
		exe[n] = '\0';
		*strrchr(exe, '/') = '\0';
		found = find_near(exe, name);
	}
	if (!found)
		return err_set(err, ENOENT,
			"%s is not installed beside %s; reinstall Cove or set "
			"COVE_LIBEXEC",
			name, exe);
	*ret = TAKE_PTR(found);
	return 0;
}
