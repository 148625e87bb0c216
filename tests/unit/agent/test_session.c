/* SPDX-License-Identifier: Apache-2.0 */
/* Exec sessions as a client sees them, on the host, over a Unix socket. */
#include "cm.h"
#include "peer.h"

#include "agent/session.h"
#include "base/fd.h"
#include "copy/tree.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct peer peer;

static int setup(void **state)
{
	peer_start(&peer);
	return 0;
}

static int teardown(void **state)
{
	peer_stop(&peer);
	return 0;
}

static void test_streams_and_status(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, SH("echo out; echo err >&2; exit 7"), &r);
	assert_true(r.started);
	assert_true(r.id > 0 && r.pid > 0);
	assert_int_equal(r.status, 7);
	assert_int_equal(r.signo, 0);
	assert_string_equal(result_out(&r), "out\n");
	assert_string_equal(result_err(&r), "err\n");
}

static void test_killed_by_a_signal(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, SH("kill -KILL $$"), &r);
	assert_int_equal(r.status, 128 + SIGKILL);
	assert_int_equal(r.signo, SIGKILL);
}

static void test_no_such_program(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, ARGV("cove-no-such-program"), &r);
	assert_int_equal(r.status, 127);
	assert_string_equal(
		result_err(&r), "cove: cove-no-such-program: not found\n");
}

static void test_not_executable(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, ARGV("/etc/passwd"), &r);
	assert_int_equal(r.status, 126);
	assert_string_equal(result_err(&r),
		"cove: cannot execute /etc/passwd: Permission denied\n");
}

static void test_a_directory_is_no_program(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, ARGV("/tmp"), &r);
	assert_int_equal(r.status, 126);
}

/* Without a stdin of its own a command sees an empty one, not ours. */
static void test_no_stdin(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, SH("cat; readlink /proc/self/fd/0"), &r);
	assert_string_equal(result_out(&r), "/dev/null\n");
}

static void test_stdin_until_its_end(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, EX_STDIN, ARGV("cat"), NULL);
	peer_send(fd, AF_STDIN, "one ", 4);
	peer_send(fd, AF_STDIN, "two", 3);
	peer_send(fd, AF_STDIN_EOF, "", 0);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 0);
	assert_string_equal(result_out(&r), "one two");
}

static void *pattern(size_t len, uint32_t seed)
{
	uint8_t *p = xcalloc(len, 1);

	for (size_t i = 0; i < len; i++) {
		seed = seed * 1664525u + 1013904223u;
		p[i] = (uint8_t)(seed >> 24);
	}
	return p;
}

/* Writes everything while a child process reads: both buffers fill up. */
static pid_t feed(int fd, const void *p, size_t len)
{
	pid_t pid = fork();
	const char *from = p;

	if (pid != 0)
		return pid;
	while (len) {
		size_t n = MIN(len, (size_t)FRAME_MAX);
		uint8_t head[FRAME_HEAD];

		frame_head(head, AF_STDIN, (uint32_t)n);
		if (fd_write_all(fd, head, sizeof(head)) < 0 ||
			fd_write_all(fd, from, n) < 0)
			_exit(1);
		from += n;
		len -= n;
	}
	frame_head((uint8_t[FRAME_HEAD]){0}, AF_STDIN_EOF, 0);
	{
		uint8_t head[FRAME_HEAD];

		frame_head(head, AF_STDIN_EOF, 0);
		_exit(fd_write_all(fd, head, sizeof(head)) < 0);
	}
}

static void test_bulk_both_ways(void **state)
{
	size_t len = 16 * MIB + 12345;
	_cleanup_free_ void *data = pattern(len, 1);
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, EX_STDIN, SH("cat | cat"), NULL);
	assert_true(feed(fd, data, len) > 0);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 0);
	assert_int_equal(buf_len(&r.out), len);
	assert_memory_equal(buf_head(&r.out), data, len);
}

/* A process that does not read: what it left is dropped, EXIT still comes. */
static void test_stdin_that_nobody_reads(void **state)
{
	size_t len = 4 * MIB;
	_cleanup_free_ void *data = pattern(len, 2);
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, EX_STDIN, SH("sleep 0.3; echo done; exit 3"), NULL);
	assert_true(feed(fd, data, len) > 0);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 3);
	assert_string_equal(result_out(&r), "done\n");
}

static void test_exit_comes_after_all_output(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0,
		SH("head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2"),
		&r);
	assert_int_equal(r.status, 0);
	assert_int_equal(buf_len(&r.out), 3000000);
	assert_int_equal(buf_len(&r.err), 100000);
}

/* A child in the background keeps stdout open: EXIT does not wait for it. */
static void test_background_child_does_not_hold_exit(void **state)
{
	_cleanup_(result_done) struct result r;
	uint64_t t = now_ms();

	peer_run(&peer, 0, SH("echo first; sleep 100 & exit 5"), &r);
	assert_int_equal(r.status, 5);
	assert_string_equal(result_out(&r), "first\n");
	assert_true(now_ms() - t < 90000);
}

/* One that never stops writing must not hold it either. */
static void test_background_writer_does_not_hold_exit(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0,
		SH("for i in $(seq 3000); do echo y; sleep 0.001; done & exit 4"),
		&r);
	assert_int_equal(r.status, 4);
}

/*
 * What a child writes just after the main process ended, and was reaped, still
 * arrives. One that gets no processor in time may try again.
 */
static void test_late_output_within_the_grace(void **state)
{
	bool arrived = false;

	for (int i = 0; i < 100 && !arrived; i++) {
		_cleanup_(result_done) struct result r;

		peer_run(&peer, 0,
			SH("(while [ -e /proc/$$/stat ]; do :; done; "
			   "echo late) & exit 0"),
			&r);
		assert_int_equal(r.status, 0);
		arrived = streq(result_out(&r), "late\n");
	}
	assert_true(arrived);
}

static void test_environment(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, 0, SH("echo $PATH:$HOME:$USER:$A:$B"),
		ARGV("A=1", "B=two words", "A=3", "HOME=/nowhere"));
	peer_collect(fd, &r);
	assert_string_equal(result_out(&r),
		"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		":/nowhere:me:3:two words\n");
}

/* The path of the environment that the process gets, not of the agent's. */
static void test_path_of_the_request(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, 0, ARGV("ls"), ARGV("PATH=/proc/nonexistent"));
	peer_collect(fd, &r);
	assert_int_equal(r.status, 127);
}

static void test_only_stdio_is_inherited(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, 0, SH("ls /proc/self/fd | tr '\\n' ' '"), &r);
	/* 3 is the directory that ls reads. */
	assert_string_equal(result_out(&r), "0 1 2 3 ");
}

/* Signals 32 to 34 belong to the C library, which lets nobody set them. */
static void test_default_signals(void **state)
{
	_cleanup_(result_done) struct result r;
	unsigned long long blocked, ignored;

	peer_run(&peer, 0, SH("grep -E '^Sig(Blk|Ign)' /proc/self/status"), &r);
	assert_int_equal(
		sscanf(result_out(&r), "SigBlk:\t%llx\nSigIgn:\t%llx\n",
			&blocked, &ignored),
		2);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & ~(7ull << 31), 0);
}

static void test_its_own_session(void **state)
{
	_cleanup_(result_done) struct result r;
	unsigned int pid, pgrp, session;

	peer_run(&peer, 0, SH("cut -d' ' -f1,5,6 /proc/$$/stat"), &r);
	assert_int_equal(
		sscanf(result_out(&r), "%u %u %u", &pid, &pgrp, &session), 3);
	assert_int_equal(pid, r.pid);
	assert_int_equal(pgrp, r.pid);
	assert_int_equal(session, r.pid);
}

static void test_unknown_user(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;
	struct buf b;

	buf_init(&b, 4096);
	tlv_put_str(&b, AT_ARG, "true");
	tlv_put_str(&b, AT_USER, "nobody-here");
	peer_send(fd, AF_EXEC, buf_head(&b), buf_len(&b));
	buf_done(&b);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 126);
	assert_string_equal(result_err(&r),
		"cove: no user named 'nobody-here' in this sandbox\n");
}

static void test_directory(void **state)
{
	static const char *const dirs[] = {"/usr", "/no/such/dir"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_close_ int fd = peer_connect(&peer);
		_cleanup_(result_done) struct result r;
		struct buf b;

		buf_init(&b, 4096);
		tlv_put_str(&b, AT_ARG, "pwd");
		tlv_put_str(&b, AT_USER, "me");
		tlv_put_str(&b, AT_CWD, dirs[i]);
		peer_send(fd, AF_EXEC, buf_head(&b), buf_len(&b));
		buf_done(&b);
		peer_collect(fd, &r);
		assert_int_equal(r.status, i ? 126 : 0);
		if (i)
			assert_string_equal(result_err(&r),
				"cove: cannot enter directory '/no/such/dir': "
				"No such file or directory\n");
		else
			assert_string_equal(result_out(&r), "/usr\n");
	}
}

/* ---- signals, hang-up ---- */

static void start(int fd, uint32_t flags, const char *const *argv,
	uint32_t *ret_id, uint32_t *ret_pid)
{
	static char frame[FRAME_MAX + 1];
	struct tlv_iter it;
	struct tlv t;
	size_t len;

	peer_exec(fd, flags, argv, NULL);
	assert_int_equal(
		peer_frame(fd, frame, sizeof(frame), &len), AF_STARTED);
	it = tlv_iter(frame, len);
	while (tlv_next(&it, &t) == 1) {
		if (t.tag == AT_ID)
			assert_int_equal(tlv_u32(&t, ret_id), 0);
		else if (t.tag == AT_PID)
			assert_int_equal(tlv_u32(&t, ret_pid), 0);
	}
}

static void ask(uint8_t type, uint32_t id, uint32_t signo, struct result *r)
{
	_cleanup_close_ int fd = peer_connect(&peer);

	peer_request(fd, type, id, signo);
	peer_collect(fd, r);
}

static void test_signal(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result answer, r;
	uint32_t id, pid;

	start(fd, 0, SH("sleep 30 | sleep 30"), &id, &pid);
	ask(AF_SIGNAL, id, SIGTERM, &answer);
	assert_true(answer.done);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 128 + SIGTERM);
	/* The whole group got it: nobody is left to keep the pipes open. */
	result_done(&answer);
	ask(AF_SIGNAL, id, SIGTERM, &answer);
	assert_false(answer.done);
	assert_non_null(strstr(result_failed(&answer), "no running session"));
}

/* The reader sees its end as soon as the process is gone. */
static void wait_gone(int pipe_read)
{
	char c;

	assert_int_equal(read(pipe_read, &c, 1), 0);
}

static void fifo_path(char path[80])
{
	snprintf(path, 80, "%s/fifo", peer.dir);
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void test_closing_hangs_up(void **state)
{
	_cleanup_free_ char *script = NULL;
	int fd = peer_connect(&peer);
	uint32_t id, pid;
	char path[80];
	int p;

	fifo_path(path);
	script = xasprintf("exec 9>%s; echo; sleep 30", path);
	start(fd, 0, SH(script), &id, &pid);
	p = open(path, O_RDONLY);
	close(fd);
	wait_gone(p);
	close(p);
	unlink(path);
}

static void test_closing_hangs_a_terminal_up(void **state)
{
	_cleanup_free_ char *script = NULL;
	int fd = peer_connect(&peer);
	uint32_t id, pid;
	char path[80];
	int p;

	fifo_path(path);
	script = xasprintf("exec 9>%s; cat", path);
	start(fd, EX_TTY | EX_STDIN, SH(script), &id, &pid);
	p = open(path, O_RDONLY);
	close(fd);
	wait_gone(p);
	close(p);
	unlink(path);
}

/* ---- detach, attach, list ---- */

static void attach(uint32_t id, struct result *r)
{
	_cleanup_close_ int fd = peer_connect(&peer);

	peer_request(fd, AF_ATTACH, id, 0);
	peer_collect(fd, r);
}

static void test_detached_output_is_kept(void **state)
{
	_cleanup_(result_done) struct result r;
	int fd = peer_connect(&peer);
	uint32_t id, pid;

	start(fd, EX_DETACHED, SH("echo out; echo err >&2; exit 9"), &id, &pid);
	close(fd);
	attach(id, &r);
	/* Also when it had ended before the first client went away. */
	assert_true(r.started);
	assert_int_equal(r.pid, pid);
	assert_int_equal(r.status, 9);
	assert_string_equal(result_out(&r), "out\n");
	assert_string_equal(result_err(&r), "err\n");
	/* It was fetched. */
	result_done(&r);
	attach(id, &r);
	assert_false(r.started);
	assert_int_equal(r.status, UINT32_MAX);
}

static void test_replay_is_the_newest_output(void **state)
{
	_cleanup_free_ char *script = NULL;
	_cleanup_(result_done) struct result r;
	int fd = peer_connect(&peer);
	uint32_t id, pid;

	char path[80];
	int p;

	fifo_path(path);
	script = xasprintf(
		"exec 9>%s; head -c 3000000 /dev/zero; printf end", path);
	start(fd, EX_DETACHED, SH(script), &id, &pid);
	close(fd);
	p = open(path, O_RDONLY);
	wait_gone(p);
	close(p);
	unlink(path);
	attach(id, &r);
	assert_int_equal(r.status, 0);
	/* More than that may still have been in the pipe. */
	assert_in_range(
		buf_len(&r.out), AGENT_REPLAY, AGENT_REPLAY + 256 * KIB);
	assert_memory_equal(buf_head(&r.out) + buf_len(&r.out) - 3, "end", 3);
}

/* Nothing is lost and nothing comes twice when a client detaches. */
static void test_detach_and_attach(void **state)
{
	_cleanup_(result_done) struct result a, b;
	int fd = peer_connect(&peer);
	uint32_t id, pid;

	start(fd, EX_STDIN, SH("echo one; read x; echo two; read x; echo $x"),
		&id, &pid);
	peer_expect(fd, "one");
	peer_send(fd, AF_STDIN, "go\n", 3);
	peer_expect(fd, "two");
	peer_send(fd, AF_DETACH, "", 0);
	peer_collect(fd, &a);
	assert_int_equal(a.status, UINT32_MAX);
	assert_int_equal(buf_len(&a.out), 0);
	close(fd);

	fd = peer_connect(&peer);
	peer_request(fd, AF_ATTACH, id, 0);
	peer_send(fd, AF_STDIN, "three\n", 6);
	peer_collect(fd, &b);
	close(fd);
	assert_int_equal(b.status, 0);
	assert_string_equal(result_out(&b), "three\n");
}

static void test_second_client_replaces_the_first(void **state)
{
	_cleanup_(result_done) struct result a, b;
	_cleanup_close_ int first = peer_connect(&peer);
	_cleanup_close_ int second = peer_connect(&peer);
	uint32_t id, pid;

	start(first, EX_DETACHED | EX_STDIN, SH("echo hello; read x; echo $x"),
		&id, &pid);
	peer_expect(first, "hello");
	peer_request(second, AF_ATTACH, id, 0);
	peer_collect(first, &a);
	assert_int_equal(a.status, UINT32_MAX);
	peer_send(second, AF_STDIN, "bye\n", 4);
	peer_collect(second, &b);
	assert_int_equal(b.status, 0);
	assert_string_equal(result_out(&b), "hello\nbye\n");
}

static void test_list(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result before, after, r;
	uint32_t id, pid;

	ask(AF_LIST, 0, 0, &before);
	assert_true(before.done);
	start(fd, EX_STDIN, ARGV("cat"), &id, &pid);
	ask(AF_LIST, 0, 0, &after);
	assert_int_equal(after.sessions, before.sessions + 1);
	peer_send(fd, AF_STDIN_EOF, "", 0);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 0);
}

static void test_many_at_once(void **state)
{
	int fd[100];

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = peer_connect(&peer);
		peer_exec(fd[i], EX_STDIN, ARGV("cat"), NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		peer_send(fd[i], AF_STDIN, &i, sizeof(i));
		peer_send(fd[i], AF_STDIN_EOF, "", 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		_cleanup_(result_done) struct result r;

		peer_collect(fd[i], &r);
		assert_int_equal(r.status, 0);
		assert_int_equal(buf_len(&r.out), sizeof(i));
		assert_memory_equal(buf_head(&r.out), &i, sizeof(i));
		close(fd[i]);
	}
}

/* Both ends of everything are ours here. */
static void many_descriptors(void)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	r.rlim_cur = MIN(r.rlim_max, (rlim_t)8192);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
}

static void test_too_many_sessions(void **state)
{
	_cleanup_(result_done) struct result r;
	int fd[SESSIONS_MAX];
	uint32_t id, pid;

	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = peer_connect(&peer);
		start(fd[i], EX_STDIN, ARGV("cat"), &id, &pid);
	}
	peer_run(&peer, 0, ARGV("true"), &r);
	assert_false(r.started);
	assert_non_null(strstr(result_failed(&r), "no more"));
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		_cleanup_(result_done) struct result end;

		peer_send(fd[i], AF_STDIN_EOF, "", 0);
		peer_collect(fd[i], &end);
		assert_int_equal(end.status, 0);
		close(fd[i]);
	}
}

/* ---- bad requests ---- */

static void test_bad_requests(void **state)
{
	static const struct {
		uint8_t type;
		const char *p;
		size_t len;
	} bad[] = {
		{AF_EXEC, "", 0},
		{AF_EXEC, "\1\2\3", 3},
		{AF_ATTACH, "", 0},
		{AF_SIGNAL, "", 0},
		{AF_GET, "", 0},
		{AF_STDIN, "x", 1},
		{200, "", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_close_ int fd = peer_connect(&peer);
		_cleanup_(result_done) struct result r;

		peer_send(fd, bad[i].type, bad[i].p, bad[i].len);
		peer_collect(fd, &r);
		assert_false(r.started);
		assert_true(buf_len(&r.failed) > 0);
	}
}

static void test_no_frame_at_all(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	assert_int_equal(fd_write_all(fd, "GET / HTTP/1.1\r\n\r\n", 18), 0);
	peer_collect(fd, &r);
	assert_false(r.started);
}

/* ---- trees through the same port ---- */

static void copy_ok(bool put, const char *src, const char *dst)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_free_ char *user = xasprintf("%u", getuid());
	struct tree_count count;
	struct err err = {0};
	int r = put ? tree_put(fd, src, dst, user, NULL, &count, &err)
		    : tree_get(fd, src, dst, user, NULL, &count, &err);

	if (r < 0)
		fail_msg("%s -> %s: %s", src, dst, err.text);
	assert_int_equal(count.entries, 3);
}

static void test_copy(void **state)
{
	_cleanup_free_ char *make = xasprintf(
		"cd %s && mkdir -p t/d && head -c 200000 /dev/urandom > t/d/f",
		peer.dir);
	_cleanup_free_ char *check =
		xasprintf("cd %s && cmp t/d/f in/d/f && cmp t/d/f out/d/f && "
			  "rm -r t in out",
			peer.dir);
	_cleanup_free_ char *t = xasprintf("%s/t", peer.dir);
	_cleanup_free_ char *in = xasprintf("%s/in", peer.dir);
	_cleanup_free_ char *out = xasprintf("%s/out", peer.dir);

	assert_int_equal(system(make), 0);
	copy_ok(true, t, in);
	copy_ok(false, in, out);
	assert_int_equal(system(check), 0);
}

static void test_copy_refused(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_close_ int other = peer_connect(&peer);
	struct tree_count count;
	struct err err = {0};

	assert_int_equal(tree_get(fd, "/no/such/file", peer.dir, "me", NULL,
				 &count, &err),
		-ENOENT);
	assert_int_equal(tree_get(other, "/etc", peer.dir, "nobody-here", NULL,
				 &count, &err),
		-ENOENT);
	assert_non_null(strstr(err.text, "no user named"));
}

/* A client that reads nothing stops its process, not the agent. */
static void test_slow_reader(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result other, r;

	peer_exec(fd, 0, SH("head -c 8000000 /dev/zero"), NULL);
	peer_run(&peer, 0, SH("echo alive"), &other);
	assert_string_equal(result_out(&other), "alive\n");
	peer_collect(fd, &r);
	assert_int_equal(r.status, 0);
	assert_int_equal(buf_len(&r.out), 8000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_and_status),
		cmocka_unit_test(test_killed_by_a_signal),
		cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_not_executable),
		cmocka_unit_test(test_a_directory_is_no_program),
		cmocka_unit_test(test_no_stdin),
		cmocka_unit_test(test_stdin_until_its_end),
		cmocka_unit_test(test_bulk_both_ways),
		cmocka_unit_test(test_stdin_that_nobody_reads),
		cmocka_unit_test(test_exit_comes_after_all_output),
		cmocka_unit_test(test_background_child_does_not_hold_exit),
		cmocka_unit_test(test_background_writer_does_not_hold_exit),
		cmocka_unit_test(test_late_output_within_the_grace),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_path_of_the_request),
		cmocka_unit_test(test_only_stdio_is_inherited),
		cmocka_unit_test(test_default_signals),
		cmocka_unit_test(test_its_own_session),
		cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_closing_hangs_up),
		cmocka_unit_test(test_closing_hangs_a_terminal_up),
		cmocka_unit_test(test_detached_output_is_kept),
		cmocka_unit_test(test_replay_is_the_newest_output),
		cmocka_unit_test(test_detach_and_attach),
		cmocka_unit_test(test_second_client_replaces_the_first),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_no_frame_at_all),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_copy_refused),
		cmocka_unit_test(test_slow_reader),
	};

	const struct CMUnitTest alone[] = {
		cmocka_unit_test(test_too_many_sessions),
	};
	int r = cmocka_run_group_tests(tests, setup, teardown);

	/* With an agent of its own: nothing of the others counts. */
	many_descriptors();
	return r + cmocka_run_group_tests(alone, setup, teardown);
}
