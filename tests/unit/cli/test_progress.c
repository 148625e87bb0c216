/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"
#include "cm.h"

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>

static int saved;
static char text[4096];

/* Standard error becomes fd until give_back(). */
static void take(int fd)
{
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
}

static void give_back(void)
{
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

/* What a run of steps writes into a file. */
static const char *plain(bool quiet)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	struct progress p;
	ssize_t n;

	take(fd);
	progress_init(&p, quiet);
	progress_set(&p, "boot", "starting the virtual machine", 0, 0);
	progress_set(&p, "download", "", 1024 * 1024, 4 * 1024 * 1024);
	progress_set(&p, "download", "", 2 * 1024 * 1024, 4 * 1024 * 1024);
	progress_set(&p, "install", "evil\033[2J", 3, 7);
	progress_set(&p, "install", "package 4", 4, 7);
	progress_tick(&p);
	progress_done(&p);
	give_back();
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	return text;
}

/* Nothing for what every start does; each step once; no control bytes. */
static void test_plain_lines(void **state)
{
	assert_string_equal(plain(false),
		"cove: download  1 MiB of 4 MiB\n"
		"cove: install: evil?[2J\n");
}

static void test_quiet(void **state)
{
	assert_string_equal(plain(true), "");
}

/* One line that is rewritten, cut to the width, and taken away at the end. */
static void test_terminal(void **state)
{
	struct winsize ws = {.ws_row = 24, .ws_col = 30};
	struct progress p;
	int master, slave;
	size_t len = 0;
	ssize_t n;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, &ws), 0);
	setenv("TERM", "xterm", 1);
	take(slave);
	progress_init(&p, false);
	p.begin_ms -= 65000;
	progress_set(
		&p, "boot", "a text that is longer than the terminal", 0, 0);
	progress_done(&p);
	give_back();
	/* What was written comes in pieces; then EIO, as nobody can write. */
	close(slave);
	while ((n = read(master, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	assert_string_equal(
		text, "\r\033[Ka text that is longer t  1:05\r\033[K");
	close(master);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_lines),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
