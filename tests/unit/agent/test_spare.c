/* SPDX-License-Identifier: Apache-2.0 */
/* The child that waits for a command, and what happens without it. */
#include "cm.h"

#include "agent/spare.h"
#include "base/fd.h"
#include "wire/agent.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static struct config config;
static struct spawn_env env = {
	.config = &config, .etc_dir = "/etc", .cgroup_fd = -1};
static struct spare spare;

static int setup(void **state)
{
	char id[16];

	/* Without privilege only oneself can be had. */
	snprintf(id, sizeof(id), "%u", geteuid());
	config.user = xstrdup(id);
	spare_init(&spare, &env);
	return 0;
}

static int teardown(void **state)
{
	pid_t pid = spare.pid;

	spare_drop(&spare);
	if (pid)
		(void)waitpid(pid, NULL, 0);
	free(TAKE_PTR(config.user));
	return 0;
}

/* Runs `sh -c "echo $X"` with X=value; its pid. */
static pid_t run(const char *value, char out[64])
{
	_cleanup_(request_done) struct request req = {0};
	_cleanup_free_ char *var = xasprintf("X=%s", value);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct buf b;
	int p[2], ws;
	pid_t pid;
	ssize_t n;

	buf_init(&b, 4096);
	assert_int_equal(tlv_put_str(&b, AT_ARG, "sh"), 0);
	assert_int_equal(tlv_put_str(&b, AT_ARG, "-c"), 0);
	assert_int_equal(tlv_put_str(&b, AT_ARG, "echo $X"), 0);
	assert_int_equal(tlv_put_str(&b, AT_ENV, var), 0);
	assert_int_equal(
		request_parse(AF_EXEC, buf_head(&b), buf_len(&b), &req, NULL),
		0);
	buf_done(&b);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = spare_exec(&spare, &req,
		&(struct spawn_io){.in = null, .out = p[1], .err = null});
	close(p[1]);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &ws, 0), pid);
	n = read(p[0], out, 63);
	assert_true(n >= 0);
	out[n] = '\0';
	close(p[0]);
	assert_true(WIFEXITED(ws) && WEXITSTATUS(ws) == 0);
	return pid;
}

static void test_it_becomes_the_command(void **state)
{
	char out[64];
	pid_t pid;

	spare_make(&spare);
	pid = spare.pid;
	assert_true(pid > 0);
	spare_make(&spare);
	assert_int_equal(spare.pid, pid); /* one is enough */
	assert_int_equal(run("one", out), pid);
	assert_string_equal(out, "one\n");
	assert_int_equal(spare.pid, 0);
}

static void test_without_one(void **state)
{
	char out[64];

	assert_true(run("two", out) > 0);
	assert_string_equal(out, "two\n");
}

/* Killed while it waited, and nobody has noticed yet. */
static void test_a_dead_one(void **state)
{
	siginfo_t info;
	char out[64];
	pid_t pid;

	spare_make(&spare);
	pid = spare.pid;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_not_equal(run("three", out), pid);
	assert_string_equal(out, "three\n");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_a_reaped_one(void **state)
{
	pid_t pid;

	spare_make(&spare);
	pid = spare.pid;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(spare_reaped(&spare, pid + 1));
	assert_true(spare_reaped(&spare, pid));
	assert_int_equal(spare.pid, 0);
}

static void test_let_go_it_ends(void **state)
{
	pid_t pid;
	int ws;

	spare_make(&spare);
	pid = spare.pid;
	spare_drop(&spare);
	assert_int_equal(waitpid(pid, &ws, 0), pid);
	assert_true(WIFEXITED(ws) && WEXITSTATUS(ws) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_it_becomes_the_command, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_without_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_dead_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_reaped_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_let_go_it_ends, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
