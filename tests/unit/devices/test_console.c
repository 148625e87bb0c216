/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "devices/console.h"

#include "base/fd.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

struct bed {
	struct loop loop;
	struct task stop;
	struct console con;
	int guest;
	int log; /* our own descriptor of the log */
};

static void bed_init(struct bed *b, uint64_t max)
{
	int sv[2];

	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_init(&b->loop), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	b->guest = sv[0];
	b->log = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(
		console_init(&b->con, &b->loop, sv[1], dup(b->log), max), 0);
}

static void on_stop(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void run(struct bed *b)
{
	for (int i = 0; i < 20; i++) {
		loop_defer(&b->loop, &b->stop, on_stop);
		assert_int_equal(loop_run(&b->loop), 0);
	}
}

static void bed_done(struct bed *b)
{
	console_done(&b->con);
	loop_done(&b->loop);
	closep(&b->guest);
	close(b->log);
}

static void assert_log(struct bed *b, const char *want)
{
	char got[256] = "";

	assert_int_equal(pread(b->log, got, 255, 0), strlen(want));
	assert_string_equal(got, want);
}

static void test_copies(void **state)
{
	struct bed b;

	bed_init(&b, 100);
	assert_int_equal(write(b.guest, "hello ", 6), 6);
	run(&b);
	assert_int_equal(write(b.guest, "world\n", 6), 6);
	run(&b);
	assert_log(&b, "hello world\n");
	bed_done(&b);
}

static void test_oldest_half_goes(void **state)
{
	struct bed b;

	bed_init(&b, 20);
	for (int i = 0; i < 5; i++) {
		char four[16];

		(void)snprintf(four, sizeof(four), "%04d", i);
		assert_int_equal(write(b.guest, four, 4), 4);
		run(&b);
	}
	assert_log(&b, "00000001000200030004");
	assert_int_equal(write(b.guest, "END", 3), 3);
	run(&b);
	assert_log(&b, "0200030004END");
	bed_done(&b);
}

/* Megabytes of output leave a bounded file that ends with the newest. */
static void test_flood_is_bounded(void **state)
{
	char line[1024];
	struct bed b;
	off_t len;

	bed_init(&b, 64 * 1024);
	for (int i = 0; i < 5000; i++) {
		memset(line, 'x', sizeof(line));
		(void)snprintf(line, 16, "%d", i);
		assert_int_equal(
			write(b.guest, line, sizeof(line)), sizeof(line));
		if (i % 16 == 15)
			run(&b);
		assert_true(lseek(b.log, 0, SEEK_END) <= 64 * 1024);
	}
	run(&b);
	len = lseek(b.log, 0, SEEK_END);
	assert_true(len >= 32 * 1024 - 1024);
	assert_int_equal(pread(b.log, line, 4, len - 1024), 4);
	assert_memory_equal(line, "4999", 4);
	bed_done(&b);
}

/* The last words of a guest that died are still in the socket. */
static void test_rest_is_copied_at_the_end(void **state)
{
	struct bed b;

	bed_init(&b, 100);
	assert_int_equal(write(b.guest, "panic", 5), 5);
	closep(&b.guest);
	console_done(&b.con);
	assert_log(&b, "panic");
	loop_done(&b.loop);
	close(b.log);
}

static void test_goes_on_with_an_old_log(void **state)
{
	struct bed b;
	int sv[2];

	bed_init(&b, 100);
	console_done(&b.con);
	assert_int_equal(pwrite(b.log, "old ", 4, 0), 4);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(
		console_init(&b.con, &b.loop, sv[1], dup(b.log), 100), 0);
	assert_int_equal(write(sv[0], "new", 3), 3);
	run(&b);
	assert_log(&b, "old new");
	close(sv[0]);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_oldest_half_goes),
		cmocka_unit_test(test_flood_is_bounded),
		cmocka_unit_test(test_rest_is_copied_at_the_end),
		cmocka_unit_test(test_goes_on_with_an_old_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
