/* SPDX-License-Identifier: Apache-2.0 */
/* Each test happens in a child, which is shut in for good. */
#include "cm.h"
#include "jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OK 0
#define SKIPPED 77

/* Ends the child with a line that names what did not hold. */
#define MUST(cond)                                                    \
	do {                                                          \
		if (!(cond)) {                                        \
			(void)fprintf(stderr, "# line %d: %s (%s)\n", \
				__LINE__, #cond, strerror(errno));    \
			_exit(1);                                     \
		}                                                     \
	} while (0)

/* Runs fn(arg) in a child; its wait status. */
static int in_child(void (*fn)(int), int arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* cmocka would go on with the next test, in the jail. */
		(void)signal(SIGSEGV, SIG_DFL);
		fn(arg);
		_exit(OK);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_ok(void (*fn)(int), int arg)
{
	int status = in_child(fn, arg);

	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), OK);
}

static char dir[64];

/* out/secret is outside; in, ro and file are given to the jail. */
static int make_tree(void **state)
{
	static const char script[] =
		"cd %s && mkdir in ro out && echo s > out/secret && "
		"echo r > ro/f && echo f > file && ln -s ../out in/link";
	char cmd[256];

	(void)snprintf(dir, sizeof(dir), "/tmp/cove-jail-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(cmd, sizeof(cmd), script, dir);
	return system(cmd);
}

static int remove_tree(void **state)
{
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static int open_in(const char *name, int flags)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC);
}

static int in_fd, ro_fd, file_fd;

static struct jail_files open_files(void)
{
	struct jail_files f = {
		.entry = {{&in_fd, "in", false}, {&ro_fd, "ro", true},
			{&file_fd, "file", false}},
		.n = 3};

	in_fd = open_in("in", O_PATH);
	ro_fd = open_in("ro", O_PATH);
	file_fd = open_in("file", O_PATH);
	MUST(in_fd >= 0 && ro_fd >= 0 && file_fd >= 0);
	return f;
}

static bool writes_at(int fd, const char *name)
{
	int n = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (n < 0)
		return false;
	close(n);
	return true;
}

static bool writes_file(int fd)
{
	char link[64];
	int n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = open(link, O_WRONLY | O_CLOEXEC);
	if (n < 0)
		return false;
	close(n);
	return true;
}

/* Only root can be somebody else; everybody else stays who they are. */
static void become(int uid)
{
	char cmd[128];

	if (!uid || geteuid() != 0)
		return;
	(void)snprintf(cmd, sizeof(cmd), "chown -R %d:%d %s", uid, uid, dir);
	MUST(system(cmd) == 0);
	MUST(setgroups(0, NULL) == 0);
	MUST(setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid) == 0);
	MUST(setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) == 0);
	/* The kernel gave /proc/self to root with the change. */
	MUST(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

static void view(int uid)
{
	int before = open_in("out", O_PATH);
	struct err err = {0};
	struct jail_files f;
	int r;

	become(uid);
	f = open_files();
	r = jail_view(&f, &err);
	if (r == -EOPNOTSUPP)
		_exit(SKIPPED);
	if (r < 0)
		(void)fprintf(stderr, "# %s\n", err.text);
	MUST(r == 0);
	MUST(before >= 0 && in_fd >= 0);
	/* Only the given files have a name. */
	MUST(access("/in", F_OK) == 0 && access("/ro/f", F_OK) == 0);
	MUST(access("/etc", F_OK) < 0 && access(dir, F_OK) < 0);
	MUST(openat(in_fd, "link/secret", O_RDONLY) < 0);
	MUST(openat(in_fd, "../out/secret", O_RDONLY) < 0);
	MUST(openat(in_fd, "../../../../../../etc/passwd", O_RDONLY) < 0);
	/* The same number leads to the same file, now by the new way. */
	MUST(writes_at(in_fd, "new"));
	MUST(writes_file(file_fd));
	MUST(openat(ro_fd, "f", O_RDONLY) >= 0);
	MUST(!writes_at(ro_fd, "f") && errno == EROFS);
	MUST(!writes_at(ro_fd, "new") && errno == EROFS);
	MUST(mkdir("/x", 0700) < 0 && errno == EROFS);
	MUST(access("/proc/self/fd", F_OK) == 0);
	MUST(access("/proc/1", F_OK) < 0);
}

static void test_view(void **state)
{
	expect_ok(view, 0);
}

static void test_view_ordinary_user(void **state)
{
	expect_ok(view, 12345);
}

/* Another directory with the same name is never taken instead. */
static void view_of_replaced(int arg)
{
	struct jail_files f = open_files();
	struct err err = {0};
	char new[128];

	(void)snprintf(new, sizeof(new), "%s/in2", dir);
	MUST(mkdir(new, 0700) == 0);
	in_fd = open(new, O_PATH);
	MUST(rmdir(new) == 0 && mkdir(new, 0700) == 0);
	MUST(jail_view(&f, &err) < 0);
	MUST(rmdir(new) == 0);
}

static void test_view_of_replaced(void **state)
{
	expect_ok(view_of_replaced, 0);
}

static void landlock(int uid)
{
	struct err err = {0};
	struct jail_files f;
	int r;

	become(uid);
	f = open_files();
	r = jail_landlock(&f, &err);
	if (r == -EOPNOTSUPP)
		_exit(SKIPPED);
	MUST(r == 0);
	MUST(openat(in_fd, "../out/secret", O_RDONLY) < 0 && errno == EACCES);
	MUST(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	MUST(writes_at(in_fd, "new2"));
	MUST(writes_file(file_fd));
	MUST(mkdirat(in_fd, "d", 0700) == 0);
	MUST(renameat(in_fd, "new2", in_fd, "d/new2") == 0);
	MUST(openat(ro_fd, "f", O_RDONLY) >= 0);
	MUST(!writes_at(ro_fd, "new"));
	MUST(unlinkat(ro_fd, "f", 0) < 0);
}

static void test_landlock(void **state)
{
	expect_ok(landlock, 0);
}

static void test_landlock_ordinary_user(void **state)
{
	expect_ok(landlock, 12345);
}

static void fds(int arg)
{
	struct err err = {0};
	int a = dup(0), b = dup(0), c = dup(0), d = fcntl(0, F_DUPFD, 200);
	const int keep[] = {d, b};

	MUST(jail_fds(keep, 2, &err) == 0);
	MUST(fcntl(a, F_GETFD) < 0 && fcntl(c, F_GETFD) < 0);
	MUST(fcntl(b, F_GETFD) >= 0 && fcntl(d, F_GETFD) >= 0);
	MUST(fcntl(2, F_GETFD) >= 0);
	MUST(jail_fds(NULL, 0, &err) == 0);
	MUST(fcntl(b, F_GETFD) < 0 && fcntl(d, F_GETFD) < 0);
}

static void test_fds(void **state)
{
	expect_ok(fds, 0);
}

static void capabilities(int arg)
{
	struct err err = {0};
	char line[256];
	FILE *f;
	int seen = 0;

	MUST(jail_capabilities(jail_file_capabilities, &err) == 0);
	f = fopen("/proc/self/status", "re");
	MUST(f);
	while (fgets(line, sizeof(line), f)) {
		const char *colon = strchr(line, ':');
		unsigned long long v;

		if (!colon)
			continue;
		v = strtoull(
			colon + 1, NULL, strncmp(line, "Cap", 3) ? 10 : 16);
		if (!strncmp(line, "NoNewPrivs:", 11))
			seen += v == 1;
		if (!strncmp(line, "CapInh:", 7) ||
			!strncmp(line, "CapAmb:", 7))
			seen += v == 0;
		if (!strncmp(line, "CapEff:", 7) ||
			!strncmp(line, "CapPrm:", 7))
			seen += !(v & ~jail_file_capabilities);
	}
	MUST(seen == 5);
	if (geteuid() == 0)
		MUST(setuid(1) < 0 && errno == EPERM);
}

static void test_capabilities(void **state)
{
	expect_ok(capabilities, 0);
}

static void limits(int arg)
{
	struct err err = {0};
	struct rlimit lim;

	MUST(jail_limits(&err) == 0);
	MUST(getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_max == 0);
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void test_limits(void **state)
{
	expect_ok(limits, 0);
}

/* What a broken-in guest would try first. */
static void forbidden(int which)
{
	struct err err = {0};

	MUST(jail_capabilities(0, &err) == 0);
	MUST(jail_syscalls(JAIL_DEVICES, &err) == 0);
	switch (which) {
	case 0:
		(void)syscall(SYS_execve, "/bin/true", NULL, NULL);
		break;
	case 1:
		(void)syscall(SYS_fork);
		break;
	case 2:
		(void)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);
		break;
	case 3:
		(void)socket(AF_INET, SOCK_STREAM, 0);
		break;
	case 4:
		(void)socket(AF_VSOCK, SOCK_STREAM, 0);
		break;
	case 5:
		(void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		break;
	case 6:
		(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 7:
		(void)mprotect((void *)((uintptr_t)&err & ~4095ul), 4096,
			PROT_READ | PROT_WRITE | PROT_EXEC);
		break;
	case 8:
		(void)kill(getppid(), SIGTERM);
		break;
	case 9:
		(void)syscall(SYS_io_uring_setup, 1, NULL);
		break;
	case 10:
		(void)syscall(SYS_chroot, "/");
		break;
	case 11:
		(void)unshare(0x10000000);
		break;
	case 12:
		(void)syscall(SYS_bpf, 0, NULL, 0);
		break;
	case 13:
		(void)bind(0, NULL, 0);
		break;
	case 14:
		(void)syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
		break;
	case 15:
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		break;
	default:
		_exit(3);
	}
}

static void test_forbidden_calls_kill(void **state)
{
	for (int i = 0; i < 16; i++) {
		int status = in_child(forbidden, i);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("call %d: status %#x", i, (unsigned)status);
	}
}

static sem_t filter_is_on;

static void *late_offender(void *arg)
{
	sem_wait(&filter_is_on);
	(void)socket(AF_INET, SOCK_STREAM, 0);
	return NULL;
}

/* A thread from before the filter is bound by it. */
static void threads(int arg)
{
	struct err err = {0};
	pthread_t t;

	sem_init(&filter_is_on, 0, 0);
	MUST(pthread_create(&t, NULL, late_offender, NULL) == 0);
	MUST(jail_syscalls(JAIL_DEVICES, &err) == 0);
	sem_post(&filter_is_on);
	pthread_join(t, NULL);
}

static void test_threads_are_bound(void **state)
{
	int status = in_child(threads, 0);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* And what the device server lives on is left to it. */
static void allowed(int arg)
{
	struct err err = {0};
	int sv[2], fd;
	char *p;

	MUST(jail_syscalls(JAIL_DEVICES, &err) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	MUST(send(sv[0], "x", 1, MSG_NOSIGNAL) == 1);
	fd = open_in("in", O_RDONLY);
	MUST(fd >= 0 && writes_at(fd, "allowed"));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	free(malloc(1u << 20));
	MUST(now_ms() > 0);
}

static void test_allowed_calls(void **state)
{
	expect_ok(allowed, 0);
}

static void enter(int uid)
{
	struct err err = {0};
	struct jail_files f;

	become(uid);
	f = open_files();
	if (jail_enter(&f, geteuid() ? 0 : jail_file_capabilities, &err) < 0)
		(void)fprintf(stderr, "# %s\n", err.text);
	MUST(err.code == 0);
	MUST(jail_syscalls(JAIL_DEVICES, &err) == 0);
	MUST(openat(in_fd, "../out/secret", O_RDONLY) < 0);
	MUST(writes_at(in_fd, "entered"));
}

static void test_whole_jail(void **state)
{
	expect_ok(enter, 0);
}

static void test_whole_jail_ordinary_user(void **state)
{
	expect_ok(enter, 12345);
}

#define IN_TREE(fn) cmocka_unit_test_setup_teardown(fn, make_tree, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TREE(test_fds),
		IN_TREE(test_view),
		IN_TREE(test_view_ordinary_user),
		IN_TREE(test_view_of_replaced),
		IN_TREE(test_landlock),
		IN_TREE(test_landlock_ordinary_user),
		IN_TREE(test_capabilities),
		IN_TREE(test_limits),
		IN_TREE(test_forbidden_calls_kill),
		IN_TREE(test_threads_are_bound),
		IN_TREE(test_allowed_calls),
		IN_TREE(test_whole_jail),
		IN_TREE(test_whole_jail_ordinary_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
