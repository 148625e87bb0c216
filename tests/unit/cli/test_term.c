/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/term.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

static int master, slave;
static struct termios before;

static int setup(void **state)
{
	memset(&before, 0, sizeof(before));
	return openpty(&master, &slave, NULL, NULL, NULL) ||
		tcgetattr(slave, &before);
}

static int teardown(void **state)
{
	close(slave);
	return close(master);
}

static bool is_restored(void)
{
	struct termios now;

	memset(&now, 0, sizeof(now));
	assert_int_equal(tcgetattr(slave, &now), 0);
	return memcmp(&now, &before, sizeof(now)) == 0;
}

static void test_raw_and_back(void **state)
{
	assert_int_equal(term_raw(slave), 0);
	assert_false(is_restored());
	term_restore();
	assert_true(is_restored());
	term_restore();
	term_raw_again();
	assert_false(is_restored());
	/* Already raw: what was saved must not become raw itself. */
	term_raw_again();
	term_restore();
	assert_true(is_restored());
}

/* However the program ends while the terminal is raw. */
static void ends_by(int signo)
{
	const struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		if (term_raw(slave) < 0)
			_exit(9);
		if (signo)
			raise(signo);
		exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (signo)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signo);
	else
		assert_int_equal(status, 0);
	assert_true(is_restored());
}

static void test_ends(void **state)
{
	static const int crashes[] = {
		0, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++)
		ends_by(crashes[i]);
}

static void test_no_terminal(void **state)
{
	uint32_t rows = 7, cols = 7;
	int null = open("/dev/null", O_RDWR);

	assert_int_equal(term_raw(null), -ENOTTY);
	assert_int_equal(term_size(null, &rows, &cols), -ENOTTY);
	assert_int_equal(rows, 7);
	close(null);
}

static void test_name(void **state)
{
	assert_string_equal(term_name("xterm"), "xterm");
	assert_string_equal(term_name("screen-256color"), "screen-256color");
	assert_string_equal(term_name("linux"), "linux");
	assert_string_equal(term_name("dumb"), "dumb");
	assert_string_equal(term_name("xterm-kitty"), "xterm-256color");
	assert_string_equal(term_name("foot"), "xterm-256color");
	assert_string_equal(term_name(""), "xterm-256color");
	assert_string_equal(term_name(NULL), "xterm-256color");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: its children must hook their signals themselves. */
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_raw_and_back, setup, teardown),
		cmocka_unit_test(test_no_terminal),
		cmocka_unit_test(test_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
