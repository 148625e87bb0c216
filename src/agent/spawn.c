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

#define EXIT_CANNOT 126
#define EXIT_NOT_FOUND 127
#define DEFAULT_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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

static int find_account(const struct spawn_env *env, const char *spec,
	struct account *ret, struct err *err)
{
	if (!spec)
		spec = env->config->user ? env->config->user : "0";
	return account_load(env->etc_dir, spec, ret, err);
}

int spawn_become(const struct spawn_env *env, const char *spec,
	struct account *ret, struct err *err)
{
	int r = find_account(env, spec, ret, err);

	if (r < 0)
		return r;
	r = set_ids(ret);
	return r < 0 ? err_sys(err, -r, "become user %u", ret->uid) : 0;
}

static void set_env(struct strv *env, const char *key, const char *value)
{
	(void)strv_setenv(env, xasprintf("%s=%s", key, value));
}

void spawn_environ(const struct config *c, const struct request *req,
	const struct account *who, struct strv *ret)
{
	set_env(ret, "PATH", DEFAULT_PATH);
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

static _Noreturn void die(int status, const struct err *err)
{
	dprintf(STDERR_FILENO, "cove: %s\n", err->text);
	_exit(status);
}

/*
 * The default directory is a wish: the home directory and then / do as well.
 * One that was asked for is not.
 */
static void enter_dir(const struct spawn_env *env, const struct request *req,
	const struct account *who)
{
	const char *work = env->config->workdir;
	struct err err = {0};

	if (req->cwd) {
		if (chdir(req->cwd) == 0)
			return;
		err_sys(&err, errno, "cannot enter directory '%s'", req->cwd);
		die(EXIT_CANNOT, &err);
	}
	if (work && chdir(work) == 0)
		return;
	if (chdir(who->home) < 0 && chdir("/") < 0)
		_exit(EXIT_CANNOT);
}

static _Noreturn void exec_program(
	const struct request *req, char **envp, const char *path)
{
	_cleanup_free_ char *file = NULL;
	struct err err = {0};
	int r = spawn_lookup(req->argv.v[0], path ? path : DEFAULT_PATH, &file);

	if (r == 0) {
		execve(file, req->argv.v, envp);
		r = -errno;
	}
	if (r == -ENOENT || r == -ENOTDIR) {
		err_set(&err, ENOENT, "%s: not found", req->argv.v[0]);
		die(EXIT_NOT_FOUND, &err);
	}
	err_sys(&err, -r, "cannot execute %s", req->argv.v[0]);
	die(EXIT_CANNOT, &err);
}

static void wire_stdio(const struct spawn_io *io)
{
	(void)setsid();
	if (io->tty)
		(void)ioctl(io->in, TIOCSCTTY, 0);
	if (dup2(io->in, 0) < 0 || dup2(io->out, 1) < 0 || dup2(io->err, 2) < 0)
		_exit(EXIT_CANNOT);
	close_from(3);
}

static void give(int fd, uid_t uid, gid_t gid)
{
	if (fchown(fd, uid, gid) < 0)
		log_debug("fchown: %d", errno);
}

/*
 * So that /dev/stdout and the terminal can be opened again after the switch of
 * user. Group 5 is "tty" everywhere. /dev/null is not ours to give.
 */
static void give_stdio(
	const struct account *who, const struct request *req, bool tty)
{
	if (tty) {
		give(0, who->uid, 5);
		return;
	}
	if (req->flags & EX_STDIN)
		give(0, who->uid, who->gid);
	give(1, who->uid, who->gid);
	give(2, who->uid, who->gid);
}

void spawn_prepare(const struct spawn_env *env, const struct request *req,
	struct account *ret_who, struct strv *ret_env)
{
	struct err err = {0};

	if (find_account(env, req->user, ret_who, &err) < 0)
		die(EXIT_CANNOT, &err);
	spawn_environ(env->config, req, ret_who, ret_env);
}

_Noreturn void spawn_run(const struct spawn_env *env, const struct request *req,
	const struct spawn_io *io)
{
	struct account who = {0};
	struct strv envv = {0};
	struct err err = {0};
	int r;

	wire_stdio(io);
	spawn_prepare(env, req, &who, &envv);
	if (env->guest)
		give_stdio(&who, req, io->tty);
	r = set_ids(&who);
	if (r < 0) {
		err_sys(&err, -r, "cannot become user %u", who.uid);
		die(EXIT_CANNOT, &err);
	}
	umask(022);
	enter_dir(env, req, &who);
	exec_program(req, envv.v, strv_getenv(&envv, "PATH"));
}

pid_t spawn_exec(const struct spawn_env *env, const struct request *req,
	const struct spawn_io *io)
{
	pid_t pid = spawn_fork(env, -1);

	if (pid == 0)
		spawn_run(env, req, io);
	return pid;
}
