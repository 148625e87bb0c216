/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "daemon/bridge.h"

#include "base/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* a[0] <-> bridge(a[1], b[1]) <-> b[0] */
struct pair {
	struct loop l;
	struct list bridges;
	int a[2], b[2];
	bool ended;
	struct task stop;
	uint8_t scratch[4096];
};

static void on_end(void *arg)
{
	((struct pair *)arg)->ended = true;
}

static void stop_now(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

/* Some rounds of the loop: everything that can move has moved. */
static void spin(struct pair *p)
{
	for (int i = 0; i < 40; i++) {
		loop_defer(&p->l, &p->stop, stop_now);
		assert_int_equal(loop_run(&p->l), 0);
	}
}

static int setup(void **state)
{
	struct pair *p = xnew(struct pair);

	assert_int_equal(loop_init(&p->l), 0);
	list_init(&p->bridges);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->b), 0);
	(void)fd_nonblock(p->a[0], true);
	(void)fd_nonblock(p->b[0], true);
	*state = p;
	return 0;
}

static void begin(struct pair *p, const char *to_b, const char *to_a)
{
	struct buf x, y;

	buf_init(&x, 1000);
	buf_init(&y, 1000);
	(void)buf_put(&x, to_b, strlen(to_b));
	(void)buf_put(&y, to_a, strlen(to_a));
	assert_int_equal(bridge_start(&p->l, &p->bridges, p->a[1], p->b[1], &x,
				 &y, p->scratch, sizeof(p->scratch), on_end, p),
		0);
	buf_done(&x);
	buf_done(&y);
}

static int teardown(void **state)
{
	struct pair *p = *state;

	bridge_end_all(&p->bridges);
	spin(p);
	assert_true(p->ended);
	closep(&p->a[0]);
	closep(&p->b[0]);
	loop_done(&p->l);
	free(p);
	return 0;
}

static void expect(struct pair *p, int fd, const char *want)
{
	char got[64] = "";

	spin(p);
	(void)!read(fd, got, sizeof(got) - 1);
	assert_string_equal(got, want);
}

static void test_both_ways(void **state)
{
	struct pair *p = *state;

	begin(p, "early", "head");
	expect(p, p->b[0], "early");
	expect(p, p->a[0], "head");
	assert_int_equal(write(p->a[0], "ping", 4), 4);
	expect(p, p->b[0], "ping");
	assert_int_equal(write(p->b[0], "pong", 4), 4);
	expect(p, p->a[0], "pong");
}

static void test_half_close(void **state)
{
	struct pair *p = *state;
	char byte;

	begin(p, "", "");
	assert_int_equal(write(p->a[0], "last", 4), 4);
	assert_int_equal(shutdown(p->a[0], SHUT_WR), 0);
	expect(p, p->b[0], "last");
	assert_int_equal(read(p->b[0], &byte, 1), 0); /* the end came through */
	assert_false(p->ended);
	/* The other direction still works, until it ends too. */
	assert_int_equal(write(p->b[0], "answer", 6), 6);
	expect(p, p->a[0], "answer");
	closep(&p->b[0]);
	spin(p);
	assert_true(p->ended);
	assert_int_equal(read(p->a[0], &byte, 1), 0);
}

/* A frame such as DETACH and then the close: the frame must arrive. */
static void test_close_after_the_last_word(void **state)
{
	struct pair *p = *state;
	char byte;

	begin(p, "", "");
	assert_int_equal(write(p->a[0], "detach", 6), 6);
	closep(&p->a[0]);
	expect(p, p->b[0], "detach");
	assert_true(p->ended);
	assert_true(read(p->b[0], &byte, 1) <= 0);
}

/* The same when a receiver was full at that moment. */
static void test_close_with_data_pending(void **state)
{
	static uint8_t data[8192];
	struct pair *p = *state;
	size_t sent = 0, got = 0;
	ssize_t n;

	begin(p, "", "");
	for (int quiet = 0; quiet < 3;) {
		n = write(p->a[0], data, sizeof(data));
		if (n > 0)
			sent += (size_t)n;
		quiet = n > 0 ? 0 : quiet + 1;
		spin(p);
	}
	assert_true(sent > 300000); /* two socket buffers at least */
	closep(&p->a[0]);
	spin(p);
	assert_false(p->ended);
	for (;;) {
		n = read(p->b[0], data, sizeof(data));
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		got += n > 0 ? (size_t)n : 0;
		spin(p);
	}
	assert_int_equal(got, sent);
	assert_true(p->ended);
}

/* Nobody reads: memory stays bounded and the loop does not spin. */
static void test_backpressure(void **state)
{
	static uint8_t data[65536];
	struct pair *p = *state;
	struct epoll_event ev;
	size_t sent = 0;
	ssize_t n;

	begin(p, "", "");
	for (int i = 0; i < 300; i++) {
		n = write(p->a[0], data, sizeof(data));
		sent += n > 0 ? (size_t)n : 0;
		spin(p);
	}
	assert_true(sent < 4u * 1024 * 1024);
	assert_int_equal(epoll_wait(p->l.epfd, &ev, 1, 0), 0);
}

/* The guest closed while the client still sends: the rest is for nobody. */
static void test_the_receiver_goes(void **state)
{
	struct pair *p = *state;
	char byte;

	begin(p, "", "");
	assert_int_equal(write(p->b[0], "exit", 4), 4);
	closep(&p->b[0]);
	expect(p, p->a[0], "exit");
	assert_true(p->ended);
	assert_true(read(p->a[0], &byte, 1) <= 0);
	assert_int_equal(send(p->a[0], "x", 1, MSG_NOSIGNAL), -1);
}

/* What a client sent too early reaches the guest after the client's answer. */
static void test_the_answer_comes_first(void **state)
{
	struct pair *p = *state;

	closep(&p->b[0]);
	begin(p, "early", "101");
	expect(p, p->a[0], "101");
	assert_true(p->ended);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_both_ways),
		T(test_half_close),
		T(test_close_after_the_last_word),
		T(test_close_with_data_pending),
		T(test_backpressure),
		T(test_the_receiver_goes),
		T(test_the_answer_comes_first),
	};

	return cmocka_run_group_tests_name("daemon/bridge", tests, NULL, NULL);
}
