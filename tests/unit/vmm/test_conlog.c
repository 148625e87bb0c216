/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "vmm/conlog.h"
#include "vmm/uart.h"

#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static uint64_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void put(struct conlog *c, const char *s)
{
	conlog_put(c, (const uint8_t *)s, strlen(s));
}

static void test_is_capped(void **state)
{
	static struct conlog c;
	int fd = memfd_create("log", 0);
	char last[64] = "";

	conlog_init(&c, fd, 64 * 1024);
	for (int i = 0; i < 20000; i++) {
		char line[32];
		(void)snprintf(line, sizeof(line), "line %d\n", i);
		put(&c, line);
		assert_true(size_of(fd) <= 64 * 1024);
	}
	conlog_flush(&c);
	assert_true(size_of(fd) > 16 * 1024);
	assert_true(pread(fd, last, 11, (off_t)size_of(fd) - 11) == 11);
	assert_string_equal(last, "line 19999\n");
	conlog_last(&c, NULL, last, sizeof(last));
	assert_string_equal(last, "line 19999");
	(void)close(fd);
}

static void test_appends(void **state)
{
	static struct conlog c;
	int fd = memfd_create("log", 0);

	assert_int_equal(write(fd, "old\n", 4), 4);
	conlog_init(&c, fd, 4096);
	put(&c, "new\n");
	assert_int_equal(size_of(fd), 8);
	(void)close(fd);
}

static void test_last_line(void **state)
{
	static struct conlog c;
	char line[64];

	conlog_init(&c, -1, 4096);
	conlog_last(&c, NULL, line, sizeof(line));
	assert_string_equal(line, "");
	put(&c, "one\r\n[ 1.0] Kernel panic - not \033[1msyncing\n");
	put(&c, "after it\n\r\n");
	conlog_last(&c, "Kernel panic", line, sizeof(line));
	assert_string_equal(line, "[ 1.0] Kernel panic - not ?[1msyncing");
	conlog_last(&c, "no such word", line, sizeof(line));
	assert_string_equal(line, "after it");
	conlog_last(&c, NULL, line, 4);
	assert_string_equal(line, "aft");
}

static unsigned irqs;

static void on_irq(void *arg)
{
	irqs++;
}

static void out(struct uart *u, uint64_t reg, uint8_t v)
{
	uart_ops.write(u, reg, &v, 1);
}

static uint8_t in(struct uart *u, uint64_t reg)
{
	uint8_t v;

	uart_ops.read(u, reg, &v, 1);
	return v;
}

static void test_uart_interrupts(void **state)
{
	static struct conlog c;
	struct uart u;

	irqs = 0;
	conlog_init(&c, -1, 0);
	uart_init(&u, &c, on_irq, NULL);
	out(&u, 0, 'a');
	assert_int_equal(irqs, 0);
	out(&u, 1, 2);
	assert_int_equal(irqs, 1);
	assert_int_equal(in(&u, 2) & 15, 2);
	assert_int_equal(in(&u, 2) & 15, 1);
	out(&u, 0, 'b');
	out(&u, 0, 'c');
	assert_int_equal(irqs, 2);
	assert_int_equal(c.n_total, 3);
}

/* A restored machine must not wait for an edge that was lost. */
static void test_uart_restore(void **state)
{
	static struct conlog c;
	struct uart_state s = {.ier = 0xff, .mcr = 0xff, .thre = 1};
	struct uart u;

	irqs = 0;
	conlog_init(&c, -1, 0);
	uart_init(&u, &c, on_irq, NULL);
	uart_restore(&u, &s);
	assert_int_equal(irqs, 1);
	assert_int_equal(in(&u, 1), 0x0f);
	assert_int_equal(in(&u, 4), 0x1f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_capped),
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_last_line),
		cmocka_unit_test(test_uart_interrupts),
		cmocka_unit_test(test_uart_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
