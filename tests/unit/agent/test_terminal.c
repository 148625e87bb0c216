/* SPDX-License-Identifier: Apache-2.0 */
/* Exec sessions with EX_TTY, as a client sees them. */
#include "cm.h"
#include "peer.h"

#include <signal.h>

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

static void test_terminal(void **state)
{
	_cleanup_(result_done) struct result r;

	peer_run(&peer, EX_TTY,
		SH("test -t 0 && test -t 1 && test -t 2 && echo yes; "
		   "tty | cut -c-9; echo on stderr >&2"),
		&r);
	assert_int_equal(r.status, 0);
	assert_string_equal(
		result_out(&r), "yes\r\n/dev/pts/\r\non stderr\r\n");
	assert_int_equal(buf_len(&r.err), 0);
}

static void test_terminal_resize(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, EX_TTY | EX_STDIN,
		SH("trap 'stty size; exit 0' WINCH; echo ready; "
		   "while :; do sleep 0.05; done"),
		NULL);
	peer_expect(fd, "ready");
	peer_winsize(fd, 33, 101);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 0);
	assert_string_equal(result_out(&r), "33 101\r\n");
}

static void test_terminal_interrupt(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(fd, EX_TTY | EX_STDIN, SH("echo ready; read x"), NULL);
	peer_expect(fd, "ready");
	peer_send(fd, AF_STDIN, "\003", 1);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 128 + SIGINT);
}

static void test_terminal_end_of_input(void **state)
{
	_cleanup_close_ int fd = peer_connect(&peer);
	_cleanup_(result_done) struct result r;

	peer_exec(
		fd, EX_TTY | EX_STDIN, SH("stty -echo; echo ready; cat"), NULL);
	peer_expect(fd, "ready");
	peer_send(fd, AF_STDIN, "line\n", 5);
	peer_expect(fd, "line");
	peer_send(fd, AF_STDIN_EOF, "", 0);
	peer_collect(fd, &r);
	assert_int_equal(r.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_terminal_resize),
		cmocka_unit_test(test_terminal_interrupt),
		cmocka_unit_test(test_terminal_end_of_input),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
