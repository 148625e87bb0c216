/* SPDX-License-Identifier: Apache-2.0 */
/* API clients that send anything, half of it, or nothing, and many of them. */
#include "cm.h"

#include "world.h"

#include "base/fd.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Sends text, reads to the end; the first line of the answer. */
static const char *say(struct world *w, const char *text, size_t len)
{
	static char got[4096];
	int fd = world_connect(w);
	size_t n = 0;
	ssize_t k;

	assert_true(fd >= 0);
	(void)send(fd, text, len, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	while (n < sizeof(got) - 1 &&
		(k = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)k;
	got[n] = '\0';
	close(fd);
	got[strcspn(got, "\r")] = '\0';
	return got;
}

static void serves(struct world *w)
{
	assert_int_equal(world_call(w, "GET", "/v1/version", NULL, NULL), 200);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *text;
		const char *answer;
	} cases[] = {
		{"", ""},
		{"\r\n", ""},
		{"GET /v1/version HTTP/1.1\r\n", ""},
		{"\x16\x03\x01\x02", "HTTP/1.1 400 Bad Request"},
		{"hello\r\n", "HTTP/1.1 400 Bad Request"},
		{"GET /v1/version HTTP/1.1\r\n\r\n",
			"HTTP/1.1 400 Bad Request"},
		{"GET /v1/version HTTP/3.0\r\nHost: x\r\n\r\n",
			"HTTP/1.1 505 HTTP Version Not Supported"},
		{"GET /v1/version HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"},
		{"GET /v1/version?x=1 HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 400 Bad Request"},
		{"GET /v1/%2e%2e HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 400 Bad Request"},
		{"GET /v1/sandboxes/a%2fb HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 400 Bad Request"},
		{"GET /v1/sandboxes/ HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 404 Not Found"},
		{"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
		 "Content-Length: 2000000\r\n\r\n{",
			"HTTP/1.1 413 Content Too Large"},
		{"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
		 "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{}",
			"HTTP/1.1 400 Bad Request"},
		{"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
		 "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
			"HTTP/1.1 400 Bad Request"},
		{"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
		 "Content-Length: 4\r\n\r\n{{{{",
			"HTTP/1.1 400 Bad Request"},
		{"GET /v1/version HTTP/1.1\r\nHost: x\r\n"
		 "Content-Length: 2\r\n\r\n{}",
			"HTTP/1.1 400 Bad Request"},
		{"POST /v1/sandboxes/x/exec HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/1.1 400 Bad Request"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(
			say(w, cases[i].text, strlen(cases[i].text)),
			cases[i].answer);
	serves(w);
}

static void test_a_pipeline(void **state)
{
	struct world *w = *state;
	static const char one[] =
		"GET /v1/sandboxes HTTP/1.1\r\nHost: x\r\n\r\n";
	struct buf {
		char *text;
		size_t len;
	} b = {xcalloc(2000, sizeof(one)), 0};
	int fd = world_connect(w);
	size_t answers = 0;
	char got[8192], last = '\0';
	ssize_t n;

	for (int i = 0; i < 2000; i++) {
		memcpy(b.text + b.len, one, sizeof(one) - 1);
		b.len += sizeof(one) - 1;
	}
	/* The answers are not read before all was sent, or it would block. */
	assert_int_equal(fd_nonblock(fd, true), 0);
	for (size_t sent = 0; answers < 2000;) {
		struct pollfd p = {.fd = fd,
			.events =
				(short)(POLLIN | (sent < b.len ? POLLOUT : 0))};

		assert_int_equal(poll(&p, 1, 60000), 1);
		n = sent < b.len
			? send(fd, b.text + sent, b.len - sent, MSG_NOSIGNAL)
			: 0;
		sent += n > 0 ? (size_t)n : 0;
		n = read(fd, got, sizeof(got));
		for (ssize_t i = 0; i < n; last = got[i++])
			answers += got[i] == '\n' && last == '}';
	}
	assert_int_equal(answers, 2000);
	free(b.text);
	close(fd);
}

static void test_chunked_body_and_continue(void **state)
{
	static const char text[] =
		"POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
		"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5\r\n{\"nam\r\n6\r\ne\":\"A\"\r\n1\r\n}\r\n0\r\n\r\n";
	struct world *w = *state;

	assert_string_equal(
		say(w, text, sizeof(text) - 1), "HTTP/1.1 100 Continue");
	serves(w);
}

/*
 * More connections than descriptors: whoever says nothing makes room, and an
 * honest client is served all the time.
 */
static void test_ten_thousand_connections(void **state)
{
	struct world *w = *state;
	struct rlimit rl;
	int *fd = xcalloc(10000, sizeof(*fd));
	size_t open_now = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	for (size_t i = 0; i < 10000; i++) {
		fd[i] = world_connect(w);
		if (fd[i] < 0) { /* this test's own limit */
			assert_int_equal(fd[i], -EMFILE);
			for (size_t k = i - open_now; k < i; k++)
				close(fd[k]);
			open_now = 0;
			fd[i] = world_connect(w);
		}
		assert_true(fd[i] >= 0);
		open_now++;
		if (i % 3 == 1)
			(void)send(fd[i], "GET /v1/vers", 12, MSG_NOSIGNAL);
		if (i % 3 == 2)
			(void)send(
				fd[i], "\x01\xff\x00garbage", 10, MSG_NOSIGNAL);
		if (i % 500 == 0)
			serves(w);
	}
	for (size_t k = 10000 - open_now; k < 10000; k++)
		close(fd[k]);
	free(fd);
	serves(w);
}

static void test_clients_that_leave(void **state)
{
	struct world *w = *state;
	static const char body[] = "{\"name\":\"hang-x\",\"disk\":67108864,"
				   "\"docker_disk\":67108864}";
	_cleanup_free_ char *text =
		xasprintf("POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
			  "Content-Length: %zu\r\n\r\n%s",
			sizeof(body) - 1, body);

	/* The create goes on without its client, fails, and leaves nothing. */
	for (int i = 0; i < 5; i++) {
		int fd = world_connect(w);

		assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
		close(fd);
	}
	assert_true(world_wait_log(w, "create failed sandbox=hang-x", 60000));
	assert_true(world_wait_state(w, "hang-x", "", 30000));
	assert_int_equal(world_procs(w), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_garbage),
		T(test_a_pipeline),
		T(test_chunked_body_and_continue),
		T(test_ten_thousand_connections),
		T(test_clients_that_leave),
	};

	return cmocka_run_group_tests_name("daemon/clients", tests, NULL, NULL);
}
