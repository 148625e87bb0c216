/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: the kernel's features and limits. */
#include "base/fd.h"
#include "base/opt.h"
#include "cli/check.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* landlock(7), since Linux 5.13; the header of Debian 12 may lack them. */
#define NR_LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_ASK_VERSION 1u
#define LANDLOCK_ABI_WANTED 2 /* renames between directories */

#define INOTIFY_WANTED 65536
#define FILES_WANTED 65536u
#define MEMORY_WANTED (1024ull * MIB)

/* Tried in a child, which is the only way to know what a policy allows. */
static int try_user_namespace(void)
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

void check_user_namespaces(struct checks *c)
{
	int r = try_user_namespace();
	const char *apparmor =
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

	if (r == 0)
		check_add(c, "user namespaces", CHECK_OK, NULL, "allowed");
	else if (check_number(apparmor) == 1)
		check_add(c, "user namespaces", CHECK_WARN,
			"sudo sysctl -w kernel.apparmor_restrict_unprivileged_"
			"userns=0",
			"refused by AppArmor: templates cannot be built as "
			"this user, and the jail is Landlock alone");
	else
		check_add(c, "user namespaces", CHECK_WARN,
			"sudo sysctl -w user.max_user_namespaces=15000 "
			"kernel.unprivileged_userns_clone=1",
			"refused (%s): templates cannot be built as this user, "
			"and the jail is Landlock alone",
			strerror(-r));
}

void check_landlock(struct checks *c)
{
	long abi = syscall(
		NR_LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_ASK_VERSION);
	const char *fix =
		"boot a kernel of 5.19 or newer with lsm=...,landlock";

	if (abi >= LANDLOCK_ABI_WANTED)
		check_add(c, "landlock", CHECK_OK, NULL, "ABI %ld", abi);
	else if (abi > 0)
		check_add(c, "landlock", CHECK_WARN, fix,
			"ABI %ld is older than %d", abi, LANDLOCK_ABI_WANTED);
	else
		check_add(c, "landlock", CHECK_WARN, fix,
			"not in this kernel (%s); one layer of the jail less",
			strerror(errno));
}

void check_seccomp(struct checks *c)
{
	_cleanup_free_ char *actions = NULL;
	ssize_t n = fd_slurp_at(AT_FDCWD,
		"/proc/sys/kernel/seccomp/actions_avail", 4096, &actions);

	if (n > 0 && strstr(actions, "kill_process"))
		check_add(c, "seccomp", CHECK_OK, NULL, "filters are there");
	else
		check_add(c, "seccomp", CHECK_MISSING,
			"boot a kernel with CONFIG_SECCOMP_FILTER",
			"not in this kernel; the jail needs it");
}

/* cgroup v2 is for the guest's limits on the host side, where it is there. */
void check_cgroups(struct checks *c)
{
	_cleanup_free_ char *have = NULL;
	ssize_t n = fd_slurp_at(
		AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", 4096, &have);

	if (n > 0 && strstr(have, "memory")) {
		have[strcspn(have, "\n")] = '\0';
		check_add(c, "cgroup v2", CHECK_OK, NULL, "%s", have);
	} else {
		check_add(c, "cgroup v2", CHECK_WARN,
			"boot with systemd.unified_cgroup_hierarchy=1",
			"no memory controller; limits are kept by the "
			"sandboxes' own kernels only");
	}
}

static void add_limit(struct checks *c, const char *name, const char *path,
	const char *key, long long wanted)
{
	long long v = check_number(path);
	_cleanup_free_ char *fix =
		xasprintf("sudo sysctl -w %s=%lld", key, wanted * 8);

	if (v < 0)
		check_add(c, name, CHECK_WARN, NULL, "unknown: cannot read %s",
			path);
	else if (v < wanted)
		check_add(c, name, CHECK_WARN, fix,
			"%lld is little for a large workspace; changes made on "
			"the host may be seen late",
			v);
	else
		check_add(c, name, CHECK_OK, NULL, "%lld", v);
}

void check_watches(struct checks *c)
{
	add_limit(c, "inotify watches", "/proc/sys/fs/inotify/max_user_watches",
		"fs.inotify.max_user_watches", INOTIFY_WANTED);
	add_limit(c, "fanotify marks", "/proc/sys/fs/fanotify/max_user_marks",
		"fs.fanotify.max_user_marks", INOTIFY_WANTED / 8);
}

void check_files(struct checks *c)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	if (rl.rlim_max == RLIM_INFINITY)
		check_add(c, "open files", CHECK_OK, NULL, "no limit");
	else if (rl.rlim_max >= FILES_WANTED)
		check_add(c, "open files", CHECK_OK, NULL, "up to %llu",
			(unsigned long long)rl.rlim_max);
	else
		check_add(c, "open files", CHECK_WARN,
			"raise the hard limit (nofile in "
			"/etc/security/limits.conf), then log in again",
			"up to %llu; a workspace of many files needs %u",
			(unsigned long long)rl.rlim_max, FILES_WANTED);
}

/* "MemAvailable:   123 kB" of /proc/meminfo in bytes; 0 when it is not there. */
static uint64_t meminfo(const char *key)
{
	_cleanup_free_ char *text = NULL;

	if (fd_slurp_at(AT_FDCWD, "/proc/meminfo", 64 * 1024, &text) <= 0)
		return 0;
	const char *line = strstr(text, key);
	return line ? strtoull(line + strlen(key), NULL, 10) * KIB : 0;
}

void check_memory(struct checks *c)
{
	uint64_t have = meminfo("MemAvailable:");
	uint64_t total = meminfo("MemTotal:");
	char a[32], b[32];

	format_size(have, a, sizeof(a));
	format_size(total, b, sizeof(b));
	if (have >= MEMORY_WANTED)
		check_add(c, "memory", CHECK_OK, NULL, "%s of %s available", a,
			b);
	else
		check_add(c, "memory", CHECK_WARN,
			"end other programs, or give sandboxes less: --memory "
			"512m",
			"%s of %s available is little", a, b);
}
