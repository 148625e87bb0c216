/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sink.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

static char block[65536];

/* Until it is full: how much went in. */
static size_t fill(struct sink *s)
{
	size_t all = 0;
	ssize_t n;

	while ((n = sink_write(s, block, sizeof(block))) > 0)
		all += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	return all;
}

static void test_pipe(void **state)
{
	struct sink s;
	int p[2];

	assert_int_equal(pipe(p), 0);
	sink_init(&s, p[1]);
	assert_int_equal(s.kind, SINK_OWN);
	assert_int_not_equal(s.fd, p[1]);
	assert_true(fill(&s) > 0);
	assert_int_equal(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0);
	close(p[0]);
	assert_int_equal(sink_write(&s, "x", 1), -EPIPE);
	sink_done(&s);
	assert_int_not_equal(fcntl(p[1], F_GETFD), -1); /* stays open */
	close(p[1]);
}

/* Where it cannot be opened again, at most PIPE_BUF bytes at a time. */
static void test_shared(void **state)
{
	struct sink s = {.own = -1, .kind = SINK_SHARED};
	int p[2];

	assert_int_equal(pipe(p), 0);
	s.fd = p[1];
	assert_int_equal(sink_write(&s, block, sizeof(block)), 4096);
	assert_true(fill(&s) > 0);
	close(p[0]);
	close(p[1]);
}

static void test_socket(void **state)
{
	struct sink s;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	sink_init(&s, sv[0]);
	assert_int_equal(s.kind, SINK_SOCKET);
	assert_true(fill(&s) > 0);
	assert_int_equal(fcntl(sv[0], F_GETFL) & O_NONBLOCK, 0);
	close(sv[1]);
	assert_int_equal(sink_write(&s, "x", 1), -EPIPE);
	sink_done(&s);
	close(sv[0]);
}

static void test_file_and_null(void **state)
{
	struct sink s;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	assert_true(fd >= 0);
	sink_init(&s, fd);
	assert_int_equal(s.kind, SINK_PLAIN);
	assert_int_equal(sink_write(&s, block, sizeof(block)), sizeof(block));
	sink_done(&s);
	close(fd);
	fd = open("/dev/null", O_WRONLY);
	sink_init(&s, fd);
	assert_int_equal(sink_write(&s, block, sizeof(block)), sizeof(block));
	sink_done(&s);
	close(fd);
	fd = open("/dev/full", O_WRONLY);
	sink_init(&s, fd);
	assert_int_equal(sink_write(&s, "x", 1), -ENOSPC);
	sink_done(&s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_file_and_null),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
