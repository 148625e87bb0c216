/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm-inject PID INDEX CALL [ARG] - makes one thread of a running process (the
 * INDEXth of /proc/PID/task) execute a system call of our choice, as an
 * attacker would who has taken it over. The thread must be inside a call
 * already. Exit 0: the process was killed for it by SIGSYS; 1: it lived.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static pid_t thread_of(const char *pid, unsigned index)
{
	static long tids[1024];
	char path[64];
	size_t n = 0;
	struct dirent *e;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%s/task", pid);
	d = opendir(path);
	while (d && n < 1024 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			tids[n++] = strtol(e->d_name, NULL, 10);
	if (d)
		(void)closedir(d);
	qsort(tids, n, sizeof(tids[0]), compare);
	if (index >= n) {
		(void)fprintf(stderr, "kvm-inject: only %zu threads\n", n);
		exit(2);
	}
	return (pid_t)tids[index];
}

static void check(long r, const char *what)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "kvm-inject: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Stops the thread; whether it is behind a syscall instruction. */
static bool stopped_in_call(pid_t tid, struct user_regs_struct *regs)
{
	int status;
	long code;

	check(ptrace(PTRACE_INTERRUPT, tid, 0, 0), "interrupt");
	check(waitpid(tid, &status, __WALL), "wait");
	check(ptrace(PTRACE_GETREGS, tid, 0, regs), "get registers");
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, tid, (void *)(regs->rip - 2), 0);
	return errno == 0 && (code & 0xffff) == 0x050f;
}

/*
 * The thread executes the very instruction it is in once more. It may have
 * lost its processor between two calls: then it goes on for a moment.
 */
static void redirect(pid_t tid, unsigned long call, unsigned long arg)
{
	struct user_regs_struct regs;

	check(ptrace(PTRACE_SEIZE, tid, 0, 0), "seize");
	while (!stopped_in_call(tid, &regs)) {
		check(ptrace(PTRACE_CONT, tid, 0, 0), "continue");
		(void)usleep(1000);
	}
	regs.rip -= 2; /* the syscall instruction */
	regs.orig_rax = (unsigned long)-1;
	regs.rax = call;
	regs.rdi = arg;
	regs.rsi = 0;
	regs.rdx = 0;
	check(ptrace(PTRACE_SETREGS, tid, 0, &regs), "set registers");
	check(ptrace(PTRACE_CONT, tid, 0, 0), "continue");
}

int main(int argc, char **argv)
{
	int status;
	pid_t tid;

	if (argc < 4)
		return 2;
	tid = thread_of(argv[1], (unsigned)strtoul(argv[2], NULL, 10));
	redirect(tid, strtoul(argv[3], NULL, 10),
		argc > 4 ? strtoul(argv[4], NULL, 10) : 0);
	/* Either it dies, or it comes to a stop sooner or later: a signal. */
	(void)alarm(60);
	check(waitpid(tid, &status, __WALL), "wait");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return 0;
	(void)fprintf(stderr, "kvm-inject: it lives (%#x)\n", (unsigned)status);
	return 1;
}
