/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int saved_stderr, pipe_out;
static char got[4096];

/* stderr goes into a pipe for the length of one test. */
static int capture(void **state)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	pipe_out = p[0];
	unsetenv("COVE_LOG");
	return 0;
}

static int release(void **state)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_out);
	return 0;
}

static const char *logged(void)
{
	ssize_t n = read(pipe_out, got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static void test_line_has_priority_and_name(void **state)
{
	log_init("prog", LOG_L_INFO);
	log_error("disk full id=%d", 3);
	assert_string_equal(logged(), "<3>prog: disk full id=3\n");
	log_info("up");
	assert_string_equal(logged(), "<6>prog: up\n");
}

static void test_level(void **state)
{
	log_init("prog", LOG_L_WARN);
	log_info("hidden");
	log_debug("hidden");
	assert_string_equal(logged(), "");
	log_warn("shown");
	assert_string_equal(logged(), "<4>prog: shown\n");
}

static void test_level_from_environment(void **state)
{
	setenv("COVE_LOG", "debug", 1);
	log_init("prog", LOG_L_ERROR);
	log_debug("shown");
	assert_string_equal(logged(), "<7>prog: shown\n");
	setenv("COVE_LOG", "nonsense", 1);
	log_init("prog", LOG_L_ERROR);
	log_warn("hidden");
	assert_string_equal(logged(), "");
}

static void test_keeps_errno(void **state)
{
	log_init("prog", LOG_L_INFO);
	errno = EXDEV;
	log_info("x");
	assert_int_equal(errno, EXDEV);
}

/* Text from a guest can neither forge a line nor drive the terminal. */
static void test_control_characters_are_blunted(void **state)
{
	log_init("prog", LOG_L_INFO);
	log_info("a\n<3>forged\x1b[2J\r\tb\x7f");
	assert_string_equal(logged(), "<6>prog: a <3>forged [2J  b \n");
}

static void test_long_lines_are_cut(void **state)
{
	char big[4000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_init("prog", LOG_L_INFO);
	log_info("%s", big);
	logged();
	assert_int_equal(strlen(got), 1023);
	assert_int_equal(got[strlen(got) - 1], '\n');
}

int main(void)
{
#define captured(fn) cmocka_unit_test_setup_teardown(fn, capture, release)
	const struct CMUnitTest tests[] = {
		captured(test_line_has_priority_and_name),
		captured(test_level),
		captured(test_level_from_environment),
		captured(test_keeps_errno),
		captured(test_control_characters_are_blunted),
		captured(test_long_lines_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
