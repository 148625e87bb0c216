/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this host can do what was asked, before anything is made. */
#include "daemon/spec.h"

#include "daemon/names.h"
#include "daemon/ports.h"
#include "daemon/ssh.h"

#include "base/opt.h"
#include "wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int check_size(const char *what, uint64_t v, uint64_t min, uint64_t max,
	struct err *err)
{
	char a[32], b[32], c[32];

	if (v >= min && v <= max)
		return 0;
	return err_set(err, ERANGE, "%s %s is impossible here: %s to %s", what,
		format_size(v, a, sizeof(a)), format_size(min, b, sizeof(b)),
		format_size(max, c, sizeof(c)));
}

static int check_count(const char *what, uint64_t v, uint64_t min, uint64_t max,
	struct err *err)
{
	if (v >= min && v <= max)
		return 0;
	return err_set(err, ERANGE, "%s %llu is impossible here: %llu to %llu",
		what, (unsigned long long)v, (unsigned long long)min,
		(unsigned long long)max);
}

/* Slower than this and not even a name is answered in time. */
static int check_network(const struct spec *s, struct err *err)
{
	int r = 0;

	if (s->rate_up)
		r = check_size("net-rate up", s->rate_up, SPEC_RATE_MIN,
			SPEC_RATE_MAX, err);
	if (r == 0 && s->rate_down)
		r = check_size("net-rate down", s->rate_down, SPEC_RATE_MIN,
			SPEC_RATE_MAX, err);
	if (r == 0 && s->quota)
		r = check_size("net-quota", s->quota, SPEC_RATE_MIN,
			SPEC_QUOTA_MAX, err);
	return r;
}

static int check_limits(
	const struct spec *s, const struct host *host, struct err *err)
{
	int r;

	r = check_count(
		"cpus", s->cpus, 1, MIN(host->cpus, SPEC_CPUS_MAX), err);
	if (r == 0)
		r = check_size("memory", s->memory, SPEC_MEMORY_MIN,
			MIN(host->memory, SPEC_MEMORY_MAX), err);
	if (r == 0)
		r = check_size(
			"disk", s->disk, SPEC_DISK_MIN, SPEC_DISK_MAX, err);
	if (r == 0)
		r = check_size("docker-disk", s->docker_disk, SPEC_DISK_MIN,
			SPEC_DISK_MAX, err);
	if (r == 0)
		r = check_count(
			"pids", s->pids, SPEC_PIDS_MIN, SPEC_PIDS_MAX, err);
	if (r == 0 && s->timeout_ms > 0)
		r = check_count("timeout_ms", s->timeout_ms, SPEC_TIMEOUT_MIN,
			SPEC_TIMEOUT_MAX, err);
	if (r == 0)
		r = check_network(s, err);
	return r;
}

/* Directories of the guest that must stay the guest's. */
static int check_guest_path(const char *path, struct err *err)
{
	static const char *const exact[] = {"/", "/bin", "/boot", "/etc",
		"/lib", "/lib64", "/run", "/sbin", "/usr", "/var", "/home"};
	static const char *const below[] = {
		"/proc", "/sys", "/dev", "/run/cove"};

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (streq(path, exact[i]))
			return err_set(err, EINVAL,
				"a workspace cannot take the place of '%s' in "
				"the sandbox",
				path);
	for (size_t i = 0; i < ARRAY_SIZE(below); i++)
		if (path_below(path, below[i]))
			return err_set(err, EINVAL,
				"a workspace cannot lie below '%s' in the "
				"sandbox",
				below[i]);
	return 0;
}

/*
 * Whoever can write Cove's own files from inside can change other sandboxes'
 * disks and what coved believes: never shared, in neither direction.
 */
static int check_own_dirs(
	const char *host, const struct paths *paths, struct err *err)
{
	const char *const own[] = {
		paths->state, paths->run, paths->cache, paths->config};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		_cleanup_free_ char *real = realpath(own[i], NULL);

		if (real && (path_below(real, host) || path_below(host, real)))
			return err_set(err, EINVAL,
				"cannot share '%s': Cove's own directory %s "
				"is in it; share a project directory instead",
				host, real);
	}
	return 0;
}

int workspace_open(const struct workspace *w, int *ret_fd, uint32_t *ret_flags,
	struct err *err)
{
	_cleanup_close_ int fd = open(w->host, O_PATH | O_CLOEXEC);
	uint32_t flags = w->read_only ? AMF_RO : 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "workspace '%s'", w->host);
	if (S_ISREG(st.st_mode))
		flags |= AMF_FILE;
	else if (!S_ISDIR(st.st_mode))
		return err_set(err, EINVAL,
			"workspace '%s' is neither a directory nor a file",
			w->host);
	*ret_fd = TAKE_FD(fd);
	*ret_flags = flags;
	return 0;
}

static int check_workspace(
	const struct workspace *w, const struct paths *paths, struct err *err)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *real = NULL;
	uint32_t flags;
	int r;

	r = path_check(w->host, "workspace", err);
	if (r == 0)
		r = path_check(w->guest, "workspace", err);
	if (r == 0)
		r = check_guest_path(w->guest, err);
	if (r == 0)
		r = workspace_open(w, &fd, &flags, err);
	if (r < 0)
		return r;
	if (access(w->host, R_OK | (flags & AMF_FILE ? 0 : X_OK)) < 0)
		return err_sys(err, errno, "workspace '%s'", w->host);
	real = realpath(w->host, NULL);
	if (!real)
		return err_sys(err, errno, "workspace '%s'", w->host);
	return check_own_dirs(real, paths, err);
}

static int check_workspaces(
	const struct spec *s, const struct paths *paths, struct err *err)
{
	int r;

	for (size_t i = 0; i < s->n_workspaces; i++) {
		r = check_workspace(&s->workspaces[i], paths, err);
		if (r < 0)
			return r;
		for (size_t k = 0; k < i; k++)
			if (streq(s->workspaces[i].guest,
				    s->workspaces[k].guest))
				return err_set(err, EINVAL,
					"two workspaces at '%s' in the sandbox",
					s->workspaces[i].guest);
	}
	return 0;
}

int spec_check(const struct spec *s, const struct host *host,
	const struct paths *paths, struct err *err)
{
	int r;

	r = s->name ? name_check(s->name, err) : 0;
	if (r == 0)
		r = template_name_check(s->template, err);
	if (r == 0)
		r = check_limits(s, host, err);
	if (r == 0)
		r = check_workspaces(s, paths, err);
	if (r == 0)
		r = ports_check(s->publish, s->n_publish, err);
	if (r == 0)
		r = ssh_check(s->ssh_agent, err);
	return r;
}

char *spec_workdir(const struct spec *s)
{
	struct stat st;
	char *slash, *dir;

	if (s->n_workspaces == 0)
		return xstrdup(SPEC_WORKDIR);
	dir = xstrdup(s->workspaces[0].guest);
	slash = strrchr(dir, '/');
	if (stat(s->workspaces[0].host, &st) == 0 && S_ISREG(st.st_mode) &&
		slash)
		slash[slash == dir] = '\0';
	return dir;
}
