/* SPDX-License-Identifier: Apache-2.0 */
/* The test is the guest and the agent; the gate's log is a string. */
#include "cm.h"

#define gate_note noted
#include "daemon/ssh.c"
#undef gate_note

#define REQUEST "\0\0\0\1\x0b"
#define KEYS "\0\0\0\5\x0c\0\0\0\0"
#define REFUSAL "\0\0\0\1\5"

static char notes[4096];
static int note_result;

int noted(
	struct sandbox *sb, const char *target, bool allow, const char *reason)
{
	size_t n = strlen(notes);

	if (note_result == 0)
		(void)snprintf(notes + n, sizeof(notes) - n, "%s %s;",
			allow ? "allow" : "deny", target);
	return note_result;
}

struct world {
	struct daemon d;
	struct sandbox sb;
	char dir[40];
	int listen; /* the agent's */
	struct task stop;
};

static void stop_now(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

/* Everything that can move has moved. */
static void spin(struct world *w)
{
	for (int i = 0; i < 40; i++) {
		loop_defer(&w->d.loop, &w->stop, stop_now);
		assert_int_equal(loop_run(&w->d.loop), 0);
	}
}

static int setup(void **state)
{
	struct world *w = xnew(struct world);
	struct err err = {0};
	_cleanup_close_ int dir = -1;

	notes[0] = '\0';
	note_result = 0;
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/test-ssh.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	dir = open(w->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(dir, "box", 0700), 0);
	w->listen = sock_listen_at(dir, "agent", 0600);
	assert_true(w->listen >= 0);
	(void)fd_nonblock(w->listen, true);
	assert_int_equal(loop_init(&w->d.loop), 0);
	w->d.paths.run = w->dir;
	w->sb.d = &w->d;
	w->sb.row.id = xstrdup("box");
	w->sb.row.name = xstrdup("box");
	w->sb.spec.ssh_agent = xasprintf("%s/agent", w->dir);
	assert_int_equal(ssh_check(w->sb.spec.ssh_agent, &err), 0);
	assert_int_equal(ssh_open(&w->sb, &err), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	ssh_close(&w->sb);
	spin(w);
	loop_done(&w->d.loop);
	close(w->listen);
	assert_int_equal(remove_tree(w->dir, NULL), 0);
	free(w->sb.row.id);
	free(w->sb.row.name);
	free(w->sb.spec.ssh_agent);
	free(w);
	return 0;
}

/* A connection of the guest. */
static int guest(struct world *w)
{
	_cleanup_free_ char *path = xasprintf("%s/box/vsock.sock_1029", w->dir);
	int fd = -1;

	assert_int_equal(dial_agent(path, &fd), 0);
	return fd;
}

static void say(struct world *w, int fd, const void *p, size_t len)
{
	assert_int_equal(send(fd, p, len, MSG_NOSIGNAL), (ssize_t)len);
	spin(w);
}

/* Exactly these bytes are there, and no more. */
static void hears(int fd, const void *p, size_t len)
{
	char got[64];

	assert_int_equal(
		recv(fd, got, sizeof(got), MSG_DONTWAIT), (ssize_t)len);
	assert_memory_equal(got, p, len);
}

static bool is_over(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static int agent_side(struct world *w)
{
	return accept4(w->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void test_list(void **state)
{
	struct world *w = *state;
	_cleanup_close_ int g = guest(w);
	_cleanup_close_ int a = -1;

	for (size_t i = 0; i < 5; i++) /* byte by byte */
		say(w, g, &REQUEST[i], 1);
	a = agent_side(w);
	hears(a, REQUEST, 5);
	say(w, a, KEYS, 4);
	assert_true(recv(g, &(char){0}, 1, MSG_DONTWAIT) < 0);
	say(w, a, &KEYS[4], 5);
	hears(g, KEYS, 9);
	/* The next one goes by the same connection. */
	say(w, g, REQUEST, 5);
	hears(a, REQUEST, 5);
	assert_true(agent_side(w) < 0);
	assert_string_equal(notes, "allow keys;allow keys;");
}

static void test_refused(void **state)
{
	struct world *w = *state;
	_cleanup_close_ int g = guest(w);

	say(w, g, "\0\0\0\1\x13\0\0\0\2\x11x", 11); /* two in one go */
	spin(w);
	hears(g, REFUSAL REFUSAL, 10);
	assert_true(agent_side(w) < 0);
	assert_string_equal(notes, "deny request 19;deny request 17;");
}

static void test_sign_is_told_first(void **state)
{
	static const char sign[] = "\0\0\0\x10\x0d\0\0\0\3key\0\0\0\0\0\0\0\0";
	struct world *w = *state;
	_cleanup_close_ int g = guest(w);
	_cleanup_close_ int a = -1;

	note_result = -ENOTCONN;
	say(w, g, sign, 20);
	hears(g, REFUSAL, 5);
	assert_true(agent_side(w) < 0);
	note_result = 0;
	say(w, g, sign, 20);
	a = agent_side(w);
	hears(a, sign, 20);
	/* printf key | sha256sum | xxd -r -p | base64 */
	assert_string_equal(notes,
		"allow SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM;");
}

static void test_lengths(void **state)
{
	static const char *const heads[] = {
		"\0\0\0\0", "\0\4\0\1", "\xff\xff\xff\xff"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		_cleanup_close_ int g = guest(w);

		say(w, g, heads[i], 4);
		assert_true(is_over(g));
	}
	assert_string_equal(notes, "");
	assert_int_equal(w->sb.ssh->n_relays, 0);
}

static void test_agent_gone(void **state)
{
	struct world *w = *state;
	_cleanup_close_ int g = guest(w);
	int a;

	say(w, g, REQUEST, 5);
	a = agent_side(w);
	close(a);
	spin(w);
	assert_true(is_over(g));
	close(w->listen);
	w->listen = -1;
	close(TAKE_FD(g));
	g = guest(w);
	say(w, g, REQUEST, 5);
	hears(g, REFUSAL, 5);
}

static void test_bounded(void **state)
{
	struct world *w = *state;
	int fd[RELAYS_MAX + 1];

	for (size_t i = 0; i <= RELAYS_MAX; i++) {
		fd[i] = guest(w);
		spin(w);
	}
	assert_int_equal(w->sb.ssh->n_relays, RELAYS_MAX);
	assert_true(is_over(fd[RELAYS_MAX]));
	for (size_t i = 0; i <= RELAYS_MAX; i++)
		close(fd[i]);
	spin(w);
	assert_int_equal(w->sb.ssh->n_relays, 0);
}

static void test_check(void **state)
{
	struct world *w = *state;
	struct err err = {0};

	assert_int_equal(ssh_check(NULL, &err), 0);
	assert_int_equal(ssh_check("", &err), 0);
	assert_int_equal(ssh_check("agent", &err), -EINVAL);
	assert_int_equal(ssh_check(w->dir, &err), -EINVAL);
	assert_int_equal(ssh_check("/nowhere/agent", &err), -ENOENT);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_refused),
		TEST(test_sign_is_told_first),
		TEST(test_lengths),
		TEST(test_agent_gone),
		TEST(test_bounded),
		TEST(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
