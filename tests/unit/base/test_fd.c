/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char tmp_path[] = "/tmp/cove-test-fd-XXXXXX";
static int tmp = -1;

static int enter_tmp(void **state)
{
	if (!mkdtemp(tmp_path))
		return -1;
	tmp = open(tmp_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tmp < 0 ? -1 : 0;
}

static int leave_tmp(void **state)
{
	close(tmp);
	return rmdir(tmp_path);
}

static bool is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) == FD_CLOEXEC;
}

static void test_read_write_all(void **state)
{
	char got[4];
	int p[2];

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(fd_write_all(p[1], "abcdef", 6), 0);
	assert_int_equal(fd_read_all(p[0], got, 4), 0);
	assert_memory_equal(got, "abcd", 4);
	close(p[1]);
	assert_int_equal(fd_read_all(p[0], got, 4), -EPIPE);
	close(p[0]);
	assert_int_equal(fd_read_all(-1, got, 1), -EBADF);
	assert_int_equal(fd_write_all(-1, got, 1), -EBADF);
}

static void test_replace_and_slurp(void **state)
{
	_cleanup_free_ char *a = NULL, *b = NULL, *c = NULL;
	struct stat st;

	assert_int_equal(fd_replace_at(tmp, "f", "first", 5, 0640), 0);
	assert_int_equal(fd_slurp_at(tmp, "f", 100, &a), 5);
	assert_string_equal(a, "first");
	assert_int_equal(fstatat(tmp, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fd_replace_at(tmp, "f", "", 0, 0600), 0);
	assert_int_equal(fd_slurp_at(tmp, "f", 100, &b), 0);
	assert_string_equal(b, "");
	assert_int_equal(fd_slurp_at(tmp, "none", 100, &c), -ENOENT);
	assert_null(c);
	unlinkat(tmp, "f", 0);
}

static void test_slurp_bounds(void **state)
{
	_cleanup_free_ char *big = xcalloc(10000, 1);
	_cleanup_free_ char *got = NULL, *none = NULL, *proc = NULL;

	memset(big, 'x', 10000);
	assert_int_equal(fd_replace_at(tmp, "f", big, 10000, 0600), 0);
	assert_int_equal(fd_slurp_at(tmp, "f", 9999, &none), -EFBIG);
	assert_null(none);
	assert_int_equal(fd_slurp_at(tmp, "f", 10000, &got), 10000);
	assert_int_equal(strlen(got), 10000);
	/* Files whose size says 0 are read all the same. */
	assert_true(
		fd_slurp_at(AT_FDCWD, "/proc/self/status", 65536, &proc) > 0);
	unlinkat(tmp, "f", 0);
}

/* A replacement that fails leaves the old file and no litter. */
static void test_replace_failure(void **state)
{
	assert_int_equal(mkdirat(tmp, "d", 0700), 0);
	assert_int_equal(fd_replace_at(tmp, "d", "x", 1, 0600), -EISDIR);
	assert_int_equal(fd_replace_at(tmp, "no/f", "x", 1, 0600), -ENOENT);
	/* leave_tmp's rmdir fails if anything but d was left */
	unlinkat(tmp, "d", AT_REMOVEDIR);
}

static void test_flags(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	assert_int_equal(fd_nonblock(fd, true), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_nonblock(fd, false), 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_cloexec(fd, true), 0);
	assert_true(is_cloexec(fd));
	assert_int_equal(fd_cloexec(fd, false), 0);
	assert_false(is_cloexec(fd));
	close(fd);
	assert_int_equal(fd_nonblock(-1, true), -EBADF);
}

static void test_unix_sockets(void **state)
{
	int l, c, s;
	struct stat st;
	uid_t uid;

	assert_int_equal(sock_connect_at(tmp, "s"), -ENOENT);
	l = sock_listen_at(tmp, "s", 0600);
	assert_true(l >= 0 && is_cloexec(l));
	assert_int_equal(fstatat(tmp, "s", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(sock_listen_at(tmp, "s", 0600), -EADDRINUSE);
	c = sock_connect_at(tmp, "s");
	assert_true(c >= 0 && is_cloexec(c));
	s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(sock_peer_uid(s, &uid), 0);
	assert_int_equal(uid, getuid());
	close(c);
	close(s);
	close(l);
	assert_int_equal(sock_connect_at(tmp, "s"), -ECONNREFUSED);
	unlinkat(tmp, "s", 0);
}

/* The directory's path may be longer than sun_path; only the name counts. */
static void test_deep_socket(void **state)
{
	char name[61], too_long[120];
	int dirs[4] = {tmp}, l, c;

	memset(name, 'd', 60);
	name[60] = '\0';
	for (int i = 1; i < 4; i++) {
		assert_int_equal(mkdirat(dirs[i - 1], name, 0700), 0);
		dirs[i] = openat(dirs[i - 1], name, O_PATH | O_CLOEXEC);
		assert_true(dirs[i] >= 0);
	}
	l = sock_listen_at(dirs[3], "s", 0600);
	assert_true(l >= 0);
	c = sock_connect_at(dirs[3], "s");
	assert_true(c >= 0);
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(
		sock_listen_at(dirs[3], too_long, 0600), -ENAMETOOLONG);
	close(l);
	close(c);
	unlinkat(dirs[3], "s", 0);
	for (int i = 3; i > 0; i--) {
		close(dirs[i]);
		unlinkat(dirs[i - 1], name, AT_REMOVEDIR);
	}
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_pass_fds(void **state)
{
	int sv[2], fds[FD_PASS_MAX], got[FD_PASS_MAX];
	unsigned int before;
	char byte[16];
	size_t n_got;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	before = open_fds();
	assert_int_equal(sock_send_fds(sv[0], "hi", 2, fds, FD_PASS_MAX), 0);
	assert_int_equal(
		sock_recv_fds(sv[1], byte, 16, got, FD_PASS_MAX, &n_got), 2);
	assert_memory_equal(byte, "hi", 2);
	assert_int_equal(n_got, FD_PASS_MAX);
	for (size_t i = 0; i < n_got; i++) {
		assert_true(is_cloexec(got[i]));
		close(got[i]);
	}
	/* Those beyond max_fds do not stay open. */
	assert_int_equal(sock_send_fds(sv[0], "x", 1, fds, 5), 0);
	assert_int_equal(sock_recv_fds(sv[1], byte, 16, got, 2, &n_got), 1);
	assert_int_equal(n_got, 2);
	close(got[0]);
	close(got[1]);
	/* A record longer than the room is refused with all it carried. */
	assert_int_equal(sock_send_fds(sv[0], "toolong", 7, fds, 3), 0);
	assert_int_equal(
		sock_recv_fds(sv[1], byte, 4, got, 3, &n_got), -EMSGSIZE);
	assert_int_equal(n_got, 0);
	assert_int_equal(open_fds(), before);
	assert_int_equal(sock_send_fds(sv[0], "y", 1, NULL, 0), 0);
	assert_int_equal(sock_recv_fds(sv[1], byte, 16, NULL, 0, &n_got), 1);
	close(sv[0]);
	assert_int_equal(sock_recv_fds(sv[1], byte, 16, got, 3, &n_got), 0);
	/* No SIGPIPE. */
	assert_int_equal(sock_send_fds(sv[1], "z", 1, NULL, 0), -EPIPE);
	close(sv[1]);
	for (size_t i = 0; i < FD_PASS_MAX; i++)
		close(fds[i]);
}

/* More than FD_PASS_MAX descriptors arrive cut; none of them stays open. */
static void test_too_many_fds(void **state)
{
	int sv[2], fds[FD_PASS_MAX + 8], got[FD_PASS_MAX];
	char control[CMSG_SPACE(sizeof(fds))] = {0};
	struct iovec iov = {(char[]){'x'}, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	unsigned int before;
	size_t n_got = 99;
	char byte[4];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = sv[0];
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	before = open_fds();
	assert_int_equal(sendmsg(sv[0], &msg, 0), 1);
	assert_int_equal(
		sock_recv_fds(sv[1], byte, 4, got, FD_PASS_MAX, &n_got),
		-EMSGSIZE);
	assert_int_equal(n_got, 0);
	assert_int_equal(open_fds(), before);
	close(sv[0]);
	close(sv[1]);
}

static void test_process_identity(void **state)
{
	struct proc_id self, wrong, none = {.pid = 0};
	int fd;

	assert_int_equal(proc_id_of(getpid(), &self), 0);
	assert_int_equal(self.pid, getpid());
	assert_true(self.start > 0);
	fd = proc_open(&self);
	assert_true(fd >= 0 && is_cloexec(fd));
	assert_int_equal(proc_signal(fd, 0), 0);
	close(fd);
	wrong = self;
	wrong.start++;
	assert_int_equal(proc_open(&wrong), -ESRCH);
	wrong.start = 0; /* unknown: only the pid counts */
	fd = proc_open(&wrong);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(proc_open(&none), -ESRCH);
	assert_int_equal(proc_id_of(-1, &wrong), -ESRCH);
}

static void test_dead_processes_are_gone(void **state)
{
	struct proc_id id, again;
	siginfo_t info;
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(proc_id_of(pid, &id), 0);
	fd = proc_open(&id);
	assert_int_equal(proc_signal(fd, SIGKILL), 0);
	/* Wait for its death, but leave the zombie. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_open(&id), -ESRCH);
	assert_int_equal(proc_id_of(pid, &again), -ESRCH);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_open(&id), -ESRCH);
	assert_int_equal(proc_signal(fd, 0), -ESRCH);
	close(fd);
}

/* The name in /proc/PID/stat may hold anything, also ") Z 1 2 3". */
static void test_hostile_process_name(void **state)
{
	struct proc_id before, after;
	FILE *f;

	assert_int_equal(proc_id_of(getpid(), &before), 0);
	f = fopen("/proc/self/comm", "w");
	assert_non_null(f);
	fputs("a) Z 1 2 (b", f);
	fclose(f);
	assert_int_equal(proc_id_of(getpid(), &after), 0);
	assert_true(before.start == after.start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_write_all),
		cmocka_unit_test(test_replace_and_slurp),
		cmocka_unit_test(test_slurp_bounds),
		cmocka_unit_test(test_replace_failure),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_unix_sockets),
		cmocka_unit_test(test_deep_socket),
		cmocka_unit_test(test_pass_fds),
		cmocka_unit_test(test_too_many_fds),
		cmocka_unit_test(test_process_identity),
		cmocka_unit_test(test_dead_processes_are_gone),
		cmocka_unit_test(test_hostile_process_name),
	};

	return cmocka_run_group_tests(tests, enter_tmp, leave_tmp);
}
