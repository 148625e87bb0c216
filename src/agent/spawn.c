/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spawn.h"

#include "base/fd.h"
#include "base/log.h"
#include "wire/agent.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*
 * Born in the cgroup: moving a running process there costs a grace period of
 * the kernel, which is most of the time that a short command takes.
 */
static pid_t fork_into(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_CLEAR_SIGHAND,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	/* A container's filter on a build host; every guest kernel has it. */
	return pid < 0 && errno == ENOSYS && cgroup_fd < 0 ? fork() : pid;
}

/* The agent blocks what it reads from a descriptor, and ignores SIGPIPE. */
static void usual_signals(void)
{
	sigset_t none;

	(void)signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_from(int first)
{
	(void)syscall(SYS_close_range, first, ~0u, 0);
}

pid_t spawn_fork(const struct spawn_env *env, int keep)
{
	pid_t pid = fork_into(env->cgroup_fd);

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return pid;
	usual_signals();
	if (keep >= 0) {
		if (keep != 3)
			(void)dup3(keep, 3, O_CLOEXEC);
		close_from(4);
	}
	return 0;
}

static int set_ids(const struct account *a)
{
	/* Without privilege only oneself can be had: tests on a host. */
	if (geteuid() != 0)
		return a->uid == geteuid() ? 0 : -EPERM;
	if (setgroups(a->n_groups, a->groups) < 0 || setgid(a->gid) < 0 ||
		setuid(a->uid) < 0)
		return -errno;
	return 0;
}

int spawn_account(const struct spawn_env *env, const char *spec,
	struct account *ret, struct err *err)
{
	if (!spec)
		spec = env->config->user ? env->config->user : "0";
	return account_load(env->etc_dir, spec, ret, err);
}

int spawn_become(const struct spawn_env *env, const char *spec,
	struct account *ret, struct err *err)
{
	int r = spawn_account(env, spec, ret, err);

	if (r < 0)
		return r;
	r = set_ids(ret);
	return r < 0 ? err_sys(err, -r, "become user %u", ret->uid) : 0;
}

static void set_env(struct strv *env, const char *key, const char *value)
{
	(void)strv_setenv(env, strv_join(key, strlen(key), "=", value));
}

void spawn_environ(const struct config *c, const struct request *req,
	const struct account *who, struct strv *ret)
{
	set_env(ret, "PATH", SPAWN_PATH);
	set_env(ret, "HOME", who->home);
	if (who->name[0]) {
		set_env(ret, "USER", who->name);
		set_env(ret, "LOGNAME", who->name);
	}
	set_env(ret, "SHELL", who->shell);
	set_env(ret, "LANG", "C.UTF-8");
	if (req->flags & EX_TTY)
		set_env(ret, "TERM", "xterm-256color");
	if (c->sandbox)
		set_env(ret, "COVE_ID", c->sandbox);
	if (c->name)
		set_env(ret, "COVE_NAME", c->name);
	for (size_t i = 0; i < c->env.n; i++)
		(void)strv_setenv(ret, xstrdup(c->env.v[i]));
	for (size_t i = 0; i < req->env.n; i++)
		(void)strv_setenv(ret, xstrdup(req->env.v[i]));
}

/* A file that may be executed by somebody; directories are not programs. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return -EACCES;
	return 0;
}

int spawn_lookup(const char *name, const char *path, char **ret)
{
	bool refused = false;

	if (strchr(name, '/')) {
		*ret = xstrdup(name);
		return 0;
	}
	for (const char *p = path;; p++) {
		size_t len = strcspn(p, ":");
		/* An empty entry means the current directory. */
		char *full = xasprintf(
			"%.*s%s%s", (int)len, p, len ? "/" : "", name);
		int r = executable(full);

		if (r == 0) {
			*ret = full;
			return 0;
		}
		free(full);
		refused |= r == -EACCES;
		p += len;
		if (!*p)
			return refused ? -EACCES : -ENOENT;
	}
}
