/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session over a socketpair: a child plays the agent, others feed standard
 * input and read the output. What the agent saw is its exit status.
 */
#include "base/fd.h"
#include "cli/session.h"
#include "cm.h"
#include "wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#define ID 7u
#define MUCH (24u * 1024u * 1024u)

/* argv is not const. */
#define W(word) ((char *)(uintptr_t)(word))

static struct exec_request req;
static struct session s;
static struct session_result res;
static uint32_t signal_id;
static int signal_no;
static int signal_count;
static int master; /* the other end of the terminal */

/* ---- the fake agent, in a child: gone wrong is a non-zero exit ---- */

static struct buf rx;

#define must(what)                  \
	do {                        \
		if (!(what))        \
			_exit(100); \
	} while (0)

static struct frame receive(int fd)
{
	static struct frame f;

	if (rx.max == 0)
		buf_init(&rx, 1024 * 1024);
	if (f.p)
		buf_consume(&rx, FRAME_HEAD + f.len);
	f.p = NULL;
	for (;;) {
		int r = frame_peek(&rx, &f);
		must(r >= 0);
		if (r > 0)
			return f;
		f.p = NULL;
		must(buf_read_fd(&rx, fd, 65536) > 0);
	}
}

static void send_frame(int fd, uint8_t type, const void *p, size_t len)
{
	struct buf b;

	buf_init(&b, FRAME_MAX + 64);
	must(frame_put(&b, type, p, len) == 0);
	must(fd_write_all(fd, buf_head(&b), buf_len(&b)) == 0);
	buf_done(&b);
}

static void send_u32(int fd, uint8_t type, uint16_t tag, uint32_t v)
{
	struct buf b;

	buf_init(&b, 64);
	must(tlv_put_u32(&b, tag, v) == 0);
	send_frame(fd, type, buf_head(&b), buf_len(&b));
	buf_done(&b);
}

static void begin(int fd)
{
	must(receive(fd).type == AF_EXEC);
	send_u32(fd, AF_STARTED, AT_ID, ID);
}

/* Returns input as output, and says goodbye on standard error. */
static void agent_echo(int fd)
{
	begin(fd);
	for (;;) {
		struct frame f = receive(fd);
		if (f.type == AF_STDIN_EOF)
			break;
		must(f.type == AF_STDIN);
		send_frame(fd, AF_STDOUT, f.p, f.len);
	}
	send_frame(fd, AF_STDERR, "bye\n", 4);
	send_u32(fd, AF_EXIT, AT_STATUS, 5);
}

static void agent_slow_bytes(int fd)
{
	struct buf b;

	begin(fd);
	buf_init(&b, 4096);
	frame_put(&b, AF_STDOUT, "hello", 5);
	frame_put(&b, AF_STDERR, "world", 5);
	for (size_t i = 0; i < buf_len(&b); i++)
		must(write(fd, buf_head(&b) + i, 1) == 1);
	send_u32(fd, AF_EXIT, AT_STATUS, 0);
}

static void agent_refuse(int fd)
{
	struct buf b;

	must(receive(fd).type == AF_EXEC);
	buf_init(&b, 256);
	tlv_put_u32(&b, AT_ERRNO, EAGAIN);
	tlv_put_str(&b, AT_TEXT, "too many processes\033[2J");
	send_frame(fd, AF_FAILED, buf_head(&b), buf_len(&b));
}

static void agent_vanish(int fd)
{
	begin(fd);
	send_frame(fd, AF_STDOUT, "part", 4);
}

static void agent_huge_frame(int fd)
{
	uint8_t head[FRAME_HEAD] = {0, 0, 2, 0, AF_STDOUT, 0, 0, 0};

	begin(fd);
	must(fd_write_all(fd, head, sizeof(head)) == 0);
	must(read(fd, head, 1) == 0);
}

static void agent_odd_frame(int fd)
{
	begin(fd);
	send_frame(fd, AF_HELLO, NULL, 0);
}

static void agent_odd_status(int fd)
{
	begin(fd);
	send_u32(fd, AF_EXIT, AT_STATUS, 999);
}

static void agent_no_status(int fd)
{
	begin(fd);
	send_frame(fd, AF_EXIT, "\1\2\3", 3);
}

static void agent_no_id(int fd)
{
	must(receive(fd).type == AF_EXEC);
	send_frame(fd, AF_STARTED, NULL, 0);
}

static void agent_talk_for_ever(int fd)
{
	char text[4096] = {0};
	struct buf b;

	begin(fd);
	buf_init(&b, 8192);
	frame_put(&b, AF_STDOUT, text, sizeof(text));
	signal(SIGPIPE, SIG_IGN);
	while (fd_write_all(fd, buf_head(&b), buf_len(&b)) == 0)
		;
}

/* Until the other end closes: that is how a command is hung up. */
static void wait_hangup(int fd)
{
	char c;

	must(read(fd, &c, 1) == 0);
}

/*
 * The first one is passed on, as the callback tells us; the second one leaves.
 * It is a first one again when it comes too late.
 */
static void agent_interrupted(int fd)
{
	char c;

	begin(fd);
	kill(getppid(), SIGINT);
	do {
		must(receive(fd).type == AF_STDIN);
		kill(getppid(), SIGINT);
	} while (recv(fd, &c, 1, MSG_PEEK) == 1);
}

static void agent_hung_up(int fd)
{
	begin(fd);
	kill(getppid(), SIGHUP);
	wait_hangup(fd);
}

static void agent_started(int fd)
{
	begin(fd);
	wait_hangup(fd);
}

/* Typed once the terminal is raw, as a person would. */
static void type_keys(void)
{
	struct termios mode;

	do
		must(tcgetattr(s.fds[0], &mode) == 0);
	while (mode.c_lflag & ICANON);
	must(write(master,
		     "a\x10\x11"
		     "b",
		     4) == 4);
}

/*
 * A terminal may hand out what was typed in pieces. Whoever leaves before the
 * command has a number does not get one.
 */
static void agent_detached(int fd)
{
	char typed[8] = "";
	struct frame f;

	begin(fd);
	type_keys();
	while ((f = receive(fd)).type == AF_STDIN) {
		must(strlen(typed) + f.len < sizeof(typed));
		memcpy(typed + strlen(typed), f.p, f.len);
	}
	must(f.type == AF_DETACH);
	must(streq(typed, "a\x10"));
}

static void agent_winsize(int fd)
{
	struct frame f;

	begin(fd);
	kill(getppid(), SIGWINCH);
	f = receive(fd);
	must(f.type == AF_WINSIZE);
	struct tlv_iter it = tlv_iter(f.p, f.len);
	struct tlv t;
	uint32_t rows;
	must(tlv_next(&it, &t) == 1 && t.tag == AT_ROWS);
	must(tlv_u32(&t, &rows) == 0 && rows == 33);
	send_u32(fd, AF_EXIT, AT_STATUS, 0);
}

static void agent_silent(int fd)
{
	char sink[4096];

	while (read(fd, sink, sizeof(sink)) > 0)
		;
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	must(f && fgets(text, sizeof(text), f));
	fclose(f);
	return strrchr(text, ')')[2];
}

static bool is_raw(void)
{
	struct termios mode;

	must(tcgetattr(s.fds[0], &mode) == 0);
	return !(mode.c_lflag & ICANON);
}

/* kill -TSTP, then fg: the terminal is the shell's in between. */
static void agent_suspends(int fd)
{
	begin(fd);
	while (!is_raw())
		usleep(1000);
	kill(getppid(), SIGTSTP);
	while (state_of(getppid()) != 'T')
		usleep(1000);
	must(!is_raw());
	kill(getppid(), SIGCONT);
	while (!is_raw())
		usleep(1000);
	must(receive(fd).type == AF_WINSIZE);
	send_u32(fd, AF_EXIT, AT_STATUS, 0);
}

static void agent_deaf(int fd)
{
	begin(fd);
	pause(); /* takes nothing: killed at the end of the test */
}

/* ---- helpers ---- */

static pid_t child(void (*fn)(int), int fd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		fn(fd);
		_exit(0);
	}
	close(fd);
	return pid;
}

static pid_t start_agent(void (*fn)(int))
{
	int sv[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	s.stream = sv[0];
	/* The child must not hold our end, or it would see no hang-up. */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(sv[0]);
		fn(sv[1]);
		_exit(0);
	}
	close(sv[1]);
	return pid;
}

static int ended(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int temporary(const char *content, size_t len)
{
	FILE *f = tmpfile();
	int fd = dup(fileno(f));

	fclose(f);
	assert_int_equal(fd_write_all(fd, content, len), 0);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static const char *content(int fd)
{
	static char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[MAX(n, (ssize_t)0)] = '\0';
	return text;
}

static void record_signal(void *arg, struct loop *l, uint32_t id, int signo)
{
	signal_id = id;
	signal_no = signo;
	signal_count++;
	/* Tells the agent that we are here. */
	struct session *session = arg;
	assert_int_equal(frame_put(&session->out, AF_STDIN, "!", 1), 0);
}

static int setup(void **state)
{
	static char *argv[] = {W("cmd")};

	req = (struct exec_request){.argv = argv, .argc = 1};
	s = (struct session){.req = &req, .stream = -1};
	s.send_signal = record_signal;
	s.signal_arg = &s;
	s.fds[0] = temporary("", 0);
	s.fds[1] = temporary("", 0);
	s.fds[2] = temporary("", 0);
	signal_count = 0;
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < 3; i++)
		close(s.fds[i]);
	close(s.stream);
	return 0;
}

static void go(pid_t agent)
{
	session_run(&s, &res);
	shutdown(s.stream, SHUT_RDWR);
	assert_int_equal(ended(agent), 0);
}

/* ---- tests ---- */

static void test_files(void **state)
{
	close(s.fds[0]);
	s.fds[0] = temporary("from a file", 11);
	req.stdin_open = true;
	go(start_agent(agent_echo));
	assert_int_equal(res.end, SESSION_EXITED);
	assert_int_equal(res.status, 5);
	assert_int_equal(res.id, ID);
	assert_string_equal(content(s.fds[1]), "from a file");
	assert_string_equal(content(s.fds[2]), "bye\n");
}

static void test_byte_by_byte(void **state)
{
	go(start_agent(agent_slow_bytes));
	assert_int_equal(res.end, SESSION_EXITED);
	assert_int_equal(res.status, 0);
	assert_string_equal(content(s.fds[1]), "hello");
	assert_string_equal(content(s.fds[2]), "world");
}

static uint32_t pattern(uint32_t i)
{
	return i * 2654435761u;
}

static void feed(int fd)
{
	uint32_t words[3000];

	for (uint32_t at = 0; at < MUCH / 4;) {
		uint32_t n = MIN((uint32_t)ARRAY_SIZE(words), MUCH / 4 - at);
		for (uint32_t i = 0; i < n; i++)
			words[i] = pattern(at + i);
		must(fd_write_all(fd, words, n * 4) == 0);
		at += n;
	}
}

/* Reads in small pieces: the writer must wait for it. */
static void check(int fd)
{
	uint32_t words[100];

	for (uint32_t at = 0; at < MUCH / 4;) {
		uint32_t n = MIN((uint32_t)ARRAY_SIZE(words), MUCH / 4 - at);
		must(fd_read_all(fd, words, n * 4) == 0);
		for (uint32_t i = 0; i < n; i++)
			must(words[i] == pattern(at + i));
		at += n;
	}
	must(read(fd, words, 1) == 0);
}

static void test_much_through_pipes(void **state)
{
	int in[2], out[2];

	close(s.fds[0]);
	close(s.fds[1]);
	assert_int_equal(pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC), 0);
	/* No child may hold the write ends of the others' pipes. */
	fcntl(in[0], F_SETPIPE_SZ, 65536);
	pid_t reader = fork();
	if (reader == 0) {
		close(out[1]);
		close(in[1]);
		check(out[0]);
		_exit(0);
	}
	close(out[0]);
	pid_t feeder = child(feed, in[1]);
	s.fds[0] = in[0];
	s.fds[1] = out[1];
	req.stdin_open = true;
	go(start_agent(agent_echo));
	assert_int_equal(res.end, SESSION_EXITED);
	assert_int_equal(res.status, 5);
	/* The description is shared with others: its mode was not touched. */
	assert_int_equal(fcntl(s.fds[1], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(s.fds[0], F_GETFL) & O_NONBLOCK, 0);
	close(s.fds[1]);
	s.fds[1] = temporary("", 0);
	assert_int_equal(ended(feeder), 0);
	assert_int_equal(ended(reader), 0);
}

static void test_early_bytes(void **state)
{
	struct buf early;
	struct buf body;

	buf_init(&early, 4096);
	buf_init(&body, 64);
	tlv_put_u32(&body, AT_STATUS, 3);
	frame_put(&early, AF_STDOUT, "early", 5);
	frame_put(&early, AF_EXIT, buf_head(&body), buf_len(&body));
	s.early = &early;
	go(start_agent(agent_silent));
	assert_int_equal(res.end, SESSION_EXITED);
	assert_int_equal(res.status, 3);
	assert_string_equal(content(s.fds[1]), "early");
	buf_done(&early);
	buf_done(&body);
}

static void test_refused(void **state)
{
	go(start_agent(agent_refuse));
	assert_int_equal(res.end, SESSION_FAILED);
	assert_int_equal(res.err.code, EAGAIN);
	assert_string_equal(res.err.text, "too many processes?[2J");
}

static void test_lost(void **state)
{
	go(start_agent(agent_vanish));
	assert_int_equal(res.end, SESSION_LOST);
	assert_string_equal(content(s.fds[1]), "part");
}

static void test_hostile_agents(void **state)
{
	void (*const hostile[])(int) = {agent_odd_frame, agent_odd_status,
		agent_no_status, agent_no_id};

	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		go(start_agent(hostile[i]));
		assert_int_equal(res.end, SESSION_BROKEN);
		assert_int_equal(res.err.code, EPROTO);
		close(s.stream);
		s = (struct session){
			.req = &req, .fds = {s.fds[0], s.fds[1], s.fds[2]}};
	}
	go(start_agent(agent_huge_frame));
	assert_int_equal(res.end, SESSION_BROKEN);
}

static void test_reader_gone(void **state)
{
	int out[2];

	assert_int_equal(pipe(out), 0);
	close(out[0]);
	close(s.fds[1]);
	s.fds[1] = out[1];
	go(start_agent(agent_talk_for_ever));
	assert_int_equal(res.end, SESSION_PIPE);
}

static void test_interrupt_twice(void **state)
{
	go(start_agent(agent_interrupted));
	assert_true(signal_count >= 1);
	assert_int_equal(signal_id, ID);
	assert_int_equal(signal_no, SIGINT);
	assert_int_equal(res.end, SESSION_LEFT);
	assert_int_equal(res.status, 130);
}

static void test_hangup(void **state)
{
	go(start_agent(agent_hung_up));
	assert_int_equal(signal_count, 0);
	assert_int_equal(res.end, SESSION_LEFT);
	assert_int_equal(res.status, 129);
}

/* nohup: what was ignored before stays ignored. */
static void test_ignored_signal(void **state)
{
	signal(SIGHUP, SIG_IGN);
	kill(getpid(), SIGHUP);
	go(start_agent(agent_slow_bytes));
	assert_int_equal(res.end, SESSION_EXITED);
	signal(SIGHUP, SIG_DFL);
}

static void test_signals_are_as_before(void **state)
{
	sigset_t now;

	go(start_agent(agent_slow_bytes));
	sigprocmask(SIG_SETMASK, NULL, &now);
	for (int signo = 1; signo < 32; signo++)
		assert_int_equal(sigismember(&now, signo), 0);
}

static void test_detached_start(void **state)
{
	req.detached = true;
	go(start_agent(agent_started));
	assert_int_equal(res.end, SESSION_STARTED);
	assert_int_equal(res.id, ID);
}

static int open_terminal(struct termios *ret_mode)
{
	struct winsize ws = {.ws_row = 33, .ws_col = 99};
	int slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	assert_int_equal(tcgetattr(slave, ret_mode), 0);
	close(s.fds[0]);
	s.fds[0] = slave;
	req.tty = true;
	req.stdin_open = true;
	s.raw = true;
	return slave;
}

static void test_detach_keys(void **state)
{
	struct termios before, after;

	memset(&before, 0, sizeof(before)); /* it has padding */
	memset(&after, 0, sizeof(after));

	int slave = open_terminal(&before);

	assert_int_equal(keys_parse(DETACH_KEYS_DEFAULT, &s.keys, NULL), 0);
	go(start_agent(agent_detached));
	assert_int_equal(res.end, SESSION_DETACHED);
	assert_int_equal(res.id, ID);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	close(master);
}

static void test_winsize(void **state)
{
	struct termios mode;

	open_terminal(&mode);
	go(start_agent(agent_winsize));
	assert_int_equal(res.end, SESSION_EXITED);
	close(master);
}

static void test_suspend(void **state)
{
	struct termios mode;

	open_terminal(&mode);
	go(start_agent(agent_suspends));
	assert_int_equal(res.end, SESSION_EXITED);
	assert_false(is_raw());
	close(master);
}

/* A guest that reads nothing cannot keep us from leaving. */
static void test_detach_from_the_deaf(void **state)
{
	struct termios mode;
	pid_t agent = start_agent(agent_deaf);

	open_terminal(&mode);
	assert_int_equal(keys_parse("ctrl-]", &s.keys, NULL), 0);
	int size = 4096;
	setsockopt(s.stream, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	pid_t person = fork();
	if (person == 0) {
		struct termios now;
		char text[4000];
		memset(text, 'x', sizeof(text));
		do
			must(tcgetattr(s.fds[0], &now) == 0);
		while (now.c_lflag & ICANON);
		for (int i = 0; i < 6; i++)
			must(fd_write_all(master, text, sizeof(text)) == 0);
		must(write(master, "\x1d", 1) == 1);
		_exit(0);
	}
	session_run(&s, &res);
	kill(person, SIGKILL);
	kill(agent, SIGKILL);
	assert_int_equal(res.end, SESSION_DETACHED);
	(void)ended(person);
	(void)ended(agent);
	close(master);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files),
		TEST(test_byte_by_byte),
		TEST(test_much_through_pipes),
		TEST(test_early_bytes),
		TEST(test_refused),
		TEST(test_lost),
		TEST(test_hostile_agents),
		TEST(test_reader_gone),
		TEST(test_interrupt_twice),
		TEST(test_hangup),
		TEST(test_ignored_signal),
		TEST(test_signals_are_as_before),
		TEST(test_detached_start),
		TEST(test_detach_keys),
		TEST(test_winsize),
		TEST(test_suspend),
		TEST(test_detach_from_the_deaf),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120); /* a hang is a failure */
	/* Whatever nohup(1) or the like has left us with. */
	(void)signal(SIGHUP, SIG_DFL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
