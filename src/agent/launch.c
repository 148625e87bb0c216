/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/launch.h"

#include "base/log.h"
#include "wire/agent.h"
#include <asm/unistd.h>
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define EXIT_CANNOT 126
#define EXIT_NOT_FOUND 127
#define STACK_LEN 16384u

struct launch {
	struct launch_io io;
	struct account who;
	struct strv argv;
	struct strv env;
	struct strv files; /* the program, in each directory of PATH */
	struct strv dirs;  /* to be tried in turn */
	char *asked_dir;   /* the only one that will do; NULL: dirs */
	char *refusal;     /* why not, known before */
	bool own_stdin;    /* a pipe of ours, not /dev/null */
	bool give;         /* stdio to the user */
	bool become;       /* another user */
	/* Last: it is not cleared before it is used again. */
	uint8_t stack[STACK_LEN] __attribute__((aligned(16)));
};

/* One that is over: fresh pages cost more than all that is written to them. */
static struct launch *spare;

/* ---- the child: no errno, no heap, nothing that the agent may be using ---- */

static long raw(long n, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
}

static long raw_ptr(long n, const void *a, const void *b, const void *c)
{
	return raw(n, (long)a, (long)b, (long)c, 0);
}

/* Not _Noreturn: a sanitizer would want to know the stack that is left. */
static void leave(int status)
{
	(void)raw(__NR_exit_group, status, 0, 0, 0);
}

static struct iovec part(const char *s)
{
	return (struct iovec){(void *)(uintptr_t)s, strlen(s)};
}

static void say(const char *a, const char *b, const char *c, long why)
{
	struct iovec v[] = {part("cove: "), part(a), part(b), part(c),
		part(why ? strerror((int)-why) : ""), part("\n")};

	(void)raw(__NR_writev, 2, (long)v, ARRAY_SIZE(v), 0);
}

/* The agent blocks what it reads from a descriptor, and ignores SIGPIPE. */
static void usual_signals(void)
{
	static const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} action; /* all zero: SIG_DFL */
	static const uint64_t none;

	(void)raw(__NR_rt_sigaction, SIGPIPE, (long)&action, 0, sizeof(none));
	(void)raw(
		__NR_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, sizeof(none));
}

static bool wire_stdio(const struct launch_io *io)
{
	(void)raw(__NR_setsid, 0, 0, 0, 0);
	if (io->tty)
		(void)raw(__NR_ioctl, io->in, TIOCSCTTY, 0, 0);
	if (raw(__NR_dup2, io->in, 0, 0, 0) < 0 ||
		raw(__NR_dup2, io->out, 1, 0, 0) < 0 ||
		raw(__NR_dup2, io->err, 2, 0, 0) < 0)
		return false;
	(void)raw(__NR_close_range, 3, ~0u, 0, 0);
	return true;
}

/*
 * So that /dev/stdout and the terminal can be opened again after the switch of
 * user. Group 5 is "tty" everywhere. /dev/null is not ours to give.
 */
static void give_stdio(const struct launch *l)
{
	const struct account *a = &l->who;

	if (l->io.tty) {
		(void)raw(__NR_fchown, 0, a->uid, 5, 0);
		return;
	}
	if (l->own_stdin)
		(void)raw(__NR_fchown, 0, a->uid, a->gid, 0);
	(void)raw(__NR_fchown, 1, a->uid, a->gid, 0);
	(void)raw(__NR_fchown, 2, a->uid, a->gid, 0);
}

/* Of this process only, where libc would change all that share its memory. */
static bool become(const struct account *a)
{
	return raw(__NR_setgroups, (long)a->n_groups, (long)a->groups, 0, 0) ==
		0 &&
		raw(__NR_setgid, a->gid, 0, 0, 0) == 0 &&
		raw(__NR_setuid, a->uid, 0, 0, 0) == 0;
}

/*
 * The default directory is a wish: the home directory and then / do as well.
 * One that was asked for is not.
 */
static bool enter_dir(const struct launch *l)
{
	long r;

	if (l->asked_dir) {
		r = raw_ptr(__NR_chdir, l->asked_dir, NULL, NULL);
		if (r < 0)
			say("cannot enter directory '", l->asked_dir, "': ", r);
		return r == 0;
	}
	for (size_t i = 0; i < l->dirs.n; i++)
		if (raw_ptr(__NR_chdir, l->dirs.v[i], NULL, NULL) == 0)
			return true;
	return false;
}

/* execve(2) makes a new memory map before it looks for the file. */
static long try(const struct launch *l, const char *file)
{
	struct stat st;
	long r = raw_ptr(__NR_stat, file, &st, NULL);

	return r < 0 ? r : raw_ptr(__NR_execve, file, l->argv.v, l->env.v);
}

/* Returns only if nothing could be executed, with the exit status. */
static int execute(const struct launch *l)
{
	long why = -ENOENT;

	for (size_t i = 0; i < l->files.n; i++) {
		long r = try(l, l->files.v[i]);

		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		why = r;
		/* Perhaps the next directory has one that may be executed. */
		if (r != -EACCES)
			break;
	}
	if (why == -ENOENT) {
		say(l->argv.v[0], ": not found", "", 0);
		return EXIT_NOT_FOUND;
	}
	say("cannot execute ", l->argv.v[0], ": ", why);
	return EXIT_CANNOT;
}

static int prepare_and_execute(const struct launch *l)
{
	usual_signals();
	if (!wire_stdio(&l->io))
		return EXIT_CANNOT;
	if (l->refusal) {
		say(l->refusal, "", "", 0);
		return EXIT_CANNOT;
	}
	if (l->give)
		give_stdio(l);
	if (l->become && !become(&l->who)) {
		say("cannot become the user", "", "", 0);
		return EXIT_CANNOT;
	}
	(void)raw(__NR_umask, 022, 0, 0, 0);
	return enter_dir(l) ? execute(l) : EXIT_CANNOT;
}

static void child(void *arg)
{
	leave(prepare_and_execute(arg));
}

/*
 * clone3(2) as it comes: in the child fn(arg) runs on the new stack and never
 * returns. -errno in the parent if there is none.
 */
static long clone_onto(
	const struct clone_args *args, void (*fn)(void *), void *arg)
{
	long r;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %[arg], %%rdi\n\t"
			 "call *%[fn]\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(r)
			 : "0"((long)__NR_clone3), "D"(args),
			 "S"(sizeof(*args)), [fn] "r"(fn), [arg] "r"(arg)
			 : "rcx", "r11", "cc", "memory");
	return r;
}

/* ---- the agent ---- */

static void add(struct strv *to, const char *s)
{
	(void)strv_add(to, xstrdup(s));
}

/* An empty entry of PATH means the current directory. */
static void list_files(struct strv *to, const char *name, const char *path)
{
	if (strchr(name, '/')) {
		add(to, name);
		return;
	}
	for (const char *p = path;; p++) {
		size_t len = strcspn(p, ":");

		(void)strv_add(to, strv_join(p, len, len ? "/" : "", name));
		p += len;
		if (!*p)
			return;
	}
}

static void prepare(struct launch *l, const struct spawn_env *env,
	const struct request *req)
{
	const char *work = env->config->workdir;
	struct err err = {0};
	const char *path;

	for (size_t i = 0; i < req->argv.n; i++)
		add(&l->argv, req->argv.v[i]);
	if (spawn_account(env, req->user, &l->who, &err) < 0) {
		l->refusal = xstrdup(err.text);
		return;
	}
	l->become = geteuid() == 0;
	/* Without privilege only oneself can be had: tests on a host. */
	if (!l->become && l->who.uid != geteuid()) {
		l->refusal = xasprintf("cannot become user %u", l->who.uid);
		return;
	}
	spawn_environ(env->config, req, &l->who, &l->env);
	path = strv_getenv(&l->env, "PATH");
	list_files(&l->files, l->argv.v[0], path ? path : SPAWN_PATH);
	if (req->cwd)
		l->asked_dir = xstrdup(req->cwd);
	if (work)
		add(&l->dirs, work);
	add(&l->dirs, l->who.home);
	add(&l->dirs, "/");
}

int launch_start(const struct spawn_env *env, const struct request *req,
	const struct launch_io *io, struct launch **ret, pid_t *ret_pid)
{
	struct launch *l = spare ? TAKE_PTR(spare) : xnew(struct launch);
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_CLEAR_SIGHAND,
		.exit_signal = SIGCHLD,
		.stack = (uintptr_t)l->stack,
		.stack_size = sizeof(l->stack),
	};
	long pid;

	l->io = *io;
	l->own_stdin = req->flags & EX_STDIN;
	l->give = env->guest;
	prepare(l, env, req);
	if (env->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)env->cgroup_fd;
	}
	pid = clone_onto(&args, child, l);
	if (pid < 0) {
		launch_free(l);
		return (int)pid;
	}
	*ret = l;
	*ret_pid = (pid_t)pid;
	return 0;
}

void launch_free(struct launch *l)
{
	if (!l)
		return;
	account_done(&l->who);
	strv_done(&l->argv);
	strv_done(&l->env);
	strv_done(&l->files);
	strv_done(&l->dirs);
	free(l->asked_dir);
	free(l->refusal);
	memset(l, 0, offsetof(struct launch, stack));
	if (spare)
		free(l);
	else
		spare = l;
}
