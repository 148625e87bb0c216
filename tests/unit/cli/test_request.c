/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/request.h"
#include "cm.h"
#include "wire/agent.h"

#include <errno.h>
#include <string.h>

/* argv is not const. */
#define W(word) ((char *)(uintptr_t)(word))

static struct buf out;
static struct frame f;

static int setup(void **state)
{
	buf_init(&out, 1024 * 1024);
	return 0;
}

static int teardown(void **state)
{
	buf_done(&out);
	return 0;
}

/* The n-th string of that tag; "" when there is none. */
static const char *text_of(uint16_t tag, size_t n)
{
	static char text[64];
	struct tlv_iter it = tlv_iter(f.p, f.len);
	struct tlv t;

	text[0] = '\0';
	while (tlv_next(&it, &t) == 1)
		if (t.tag == tag && n-- == 0) {
			memcpy(text, t.p, MIN(t.len, sizeof(text) - 1));
			text[MIN(t.len, sizeof(text) - 1)] = '\0';
		}
	return text;
}

static uint32_t number_of(uint16_t tag)
{
	struct tlv_iter it = tlv_iter(f.p, f.len);
	uint32_t v = 0;
	struct tlv t;

	while (tlv_next(&it, &t) == 1)
		if (t.tag == tag)
			assert_int_equal(tlv_u32(&t, &v), 0);
	return v;
}

static void test_exec(void **state)
{
	char *argv[] = {W("printf"), W("a b"), W("")};
	char *env[] = {W("A=1")};
	struct exec_request req = {.argv = argv,
		.argc = 3,
		.env = env,
		.n_env = 1,
		.cwd = "/w",
		.user = "root",
		.stdin_open = true};

	assert_int_equal(request_put_exec(&out, &req, NULL), 0);
	assert_int_equal(frame_peek(&out, &f), 1);
	assert_int_equal(f.type, AF_EXEC);
	assert_string_equal(text_of(AT_ARG, 0), "printf");
	assert_string_equal(text_of(AT_ARG, 1), "a b");
	assert_string_equal(text_of(AT_ENV, 0), "A=1");
	assert_string_equal(text_of(AT_CWD, 0), "/w");
	assert_string_equal(text_of(AT_USER, 0), "root");
	assert_int_equal(number_of(AT_FLAGS), EX_STDIN);
}

static void test_tty(void **state)
{
	char *argv[] = {W("vi")};
	char *env[] = {W("TERM=mine")};
	struct exec_request req = {.argv = argv,
		.argc = 1,
		.env = env,
		.n_env = 1,
		.tty = true,
		.term = "xterm",
		.rows = 24,
		.cols = 80,
		.detached = true};

	assert_int_equal(request_put_exec(&out, &req, NULL), 0);
	assert_int_equal(frame_peek(&out, &f), 1);
	assert_string_equal(text_of(AT_ENV, 0), "TERM=xterm");
	assert_string_equal(text_of(AT_ENV, 1), "TERM=mine");
	assert_int_equal(number_of(AT_ROWS), 24);
	assert_int_equal(number_of(AT_COLS), 80);
	assert_int_equal(number_of(AT_FLAGS), EX_TTY | EX_DETACHED);
}

static void test_login_shell(void **state)
{
	struct exec_request req = {.tty = true};

	assert_int_equal(request_put_exec(&out, &req, NULL), 0);
	assert_int_equal(frame_peek(&out, &f), 1);
	assert_string_equal(text_of(AT_ARG, 0), "/bin/sh");
	assert_string_equal(text_of(AT_ARG, 1), "-c");
}

static void test_attach_and_signal(void **state)
{
	struct exec_request req = {.attach = true, .id = 7};

	assert_int_equal(request_put_exec(&out, &req, NULL), 0);
	assert_int_equal(frame_peek(&out, &f), 1);
	assert_int_equal(f.type, AF_ATTACH);
	assert_int_equal(number_of(AT_ID), 7);
	buf_clear(&out);
	assert_int_equal(request_put_signal(&out, 7, 15), 0);
	assert_int_equal(frame_peek(&out, &f), 1);
	assert_int_equal(f.type, AF_SIGNAL);
	assert_int_equal(number_of(AT_ID), 7);
	assert_int_equal(number_of(AT_SIGNO), 15);
}

static void test_too_long(void **state)
{
	static char big[AGENT_STR_MAX + 2];
	char *one[] = {big};
	char *three[] = {big, big, big};
	struct exec_request req = {.argv = one, .argc = 1};
	struct err err = {0};

	memset(big, 'x', AGENT_STR_MAX + 1);
	assert_int_equal(request_put_exec(&out, &req, &err), -E2BIG);
	assert_non_null(strstr(err.text, "argument 1"));
	big[AGENT_STR_MAX - 1] = '\0';
	req.argv = three;
	req.argc = 3;
	assert_int_equal(request_put_exec(&out, &req, &err), -E2BIG);
	assert_non_null(strstr(err.text, "command line is too long"));
	assert_int_equal(buf_len(&out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tty, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_login_shell, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_attach_and_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
