/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: Cove's own directories, cache and daemon. */
#include "base/opt.h"
#include "cli/api.h"
#include "cli/check.h"
#include "cli/text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SPACE_WANTED (4ull * GIB)
#define SPACE_NEEDED (1ull * GIB)

/* The directory itself may not exist yet: its nearest parent stands for it. */
static int statvfs_near(const char *path, struct statvfs *ret)
{
	_cleanup_free_ char *dir = xstrdup(path);

	while (statvfs(dir, ret) < 0) {
		char *slash = strrchr(dir, '/');
		if (errno != ENOENT || !slash)
			return -errno;
		slash[slash == dir] = '\0';
	}
	return 0;
}

static void add_space(struct checks *c, const char *name, const char *path)
{
	struct statvfs st;
	char size[32];
	int r = statvfs_near(path, &st);

	if (r < 0) {
		check_add(c, name, CHECK_MISSING, NULL, "%s: %s", path,
			strerror(-r));
		return;
	}
	uint64_t have = (uint64_t)st.f_bavail * st.f_frsize;
	format_size(have, size, sizeof(size));
	enum check_level level = have < SPACE_NEEDED ? CHECK_MISSING
		: have < SPACE_WANTED                ? CHECK_WARN
						     : CHECK_OK;
	check_add(c, name, level,
		level == CHECK_OK
			? NULL
			: "free some (cove prune), or move it: COVE_HOME=/elsewhere",
		"%s free in %s", size, path);
}

static int paths_or_report(struct checks *c)
{
	struct err err = {0};
	int r = cli_paths(c->cli, &err);

	if (r < 0)
		check_add(c, "directories", CHECK_MISSING,
			"set HOME or COVE_HOME", "%s", err.text);
	return r;
}

void check_space(struct checks *c)
{
	if (paths_or_report(c) < 0)
		return;
	add_space(c, "cache space", c->cli->paths.cache);
	add_space(c, "state space", c->cli->paths.state);
}

static void add_cached(struct checks *c, const char *name, const char *below)
{
	_cleanup_free_ char *path =
		xasprintf("%s/%s", c->cli->paths.cache, below);
	struct stat st;

	if (stat(path, &st) == 0)
		check_add(c, name, CHECK_OK, NULL, "in the cache");
	else
		check_add(c, name, CHECK_WARN,
			"comes by itself with the first sandbox; that one time "
			"needs the network and some minutes",
			"not in the cache yet");
}

void check_cache(struct checks *c)
{
	if (!c->cli->have_paths)
		return;
	add_cached(c, "kernel", "kernels/current/vmlinux");
	add_cached(c, "shell template", "templates/names/shell/root.erofs");
}

static void add_program(struct checks *c)
{
	_cleanup_free_ char *path = NULL;
	struct err err = {0};

	if (paths_program("coved", &path, &err) < 0)
		check_add(c, "coved", CHECK_MISSING, "install Cove again", "%s",
			err.text);
	else
		check_add(c, "coved", CHECK_OK, NULL,
			"not running; starts when it is needed");
}

void check_daemon(struct checks *c)
{
	struct api api = {
		.cli = c->cli, .no_start = true, .timeout_ms = API_QUICK_MS};
	struct err err = {0};
	json_t *v;

	if (!c->cli->have_paths)
		return;
	int r = api_get(&api, "/v1/version", &v, &err);
	if (r == -ENOTCONN) {
		add_program(c);
		return;
	}
	if (r < 0) {
		check_add(c, "coved", CHECK_MISSING, "cove daemon restart",
			"%s", err.text);
		return;
	}
	const char *version = jstr(v, "version");
	if (streq(version, COVE_VERSION))
		check_add(c, "coved", CHECK_OK, NULL, "running");
	else
		check_add(c, "coved", CHECK_WARN, "cove daemon restart",
			"running, but version %s and this is %s", version,
			COVE_VERSION);
	json_decref(v);
}
