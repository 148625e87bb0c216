/* SPDX-License-Identifier: Apache-2.0 */
/* The hook as a process, with a dockerd that is played here. */
#include "cm.h"

#include "agent/docker_spec.h"
#include "base/fd.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE "{\"ociVersion\":\"1.0.2\",\"id\":\"x\",\"pid\":4711}"

static char dir[] = "/tmp/test-setkey.XXXXXX";

static int setup(void **state)
{
	char path[64];

	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/libnetwork", dir);
	return mkdir(path, 0700);
}

static int teardown(void **state)
{
	_cleanup_free_ char *cmd = xasprintf("rm -rf %s", dir);

	return system(cmd);
}

/* Starts it with state on its input; its two outputs come from ret_out. */
static pid_t start(const char **argv, const char *state, int *ret_out)
{
	char *own[8] = {NULL};
	int in[2], out[2], argc = 0;
	pid_t pid;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	while (argv[argc]) {
		own[argc] = xstrdup(argv[argc]);
		argc++;
	}
	pid = fork();
	if (pid == 0) {
		if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 ||
			dup2(out[1], 2) < 0)
			_exit(99);
		close(in[1]);
		docker_setkey(argc, own);
	}
	close(in[0]);
	close(out[1]);
	assert_int_equal(fd_write_all(in[1], state, strlen(state)), 0);
	close(in[1]);
	for (int i = 0; i < argc; i++)
		free(own[i]);
	*ret_out = out[0];
	return pid;
}

static int end(pid_t pid, int out, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int ws;

	while ((n = read(out, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(out);
	assert_int_equal(waitpid(pid, &ws, 0), pid);
	assert_true(WIFEXITED(ws));
	return WEXITSTATUS(ws);
}

/* One question to dockerd, answered so. */
static int ask(const char *answer, char *text, size_t size)
{
	_cleanup_free_ char *root = xasprintf("-exec-root=%s", dir);
	const char *argv[] = {"docker-setkey", "/nonexistent", DOCKER_SETKEY,
		root, "c3d9", "8a20", NULL};
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int listener =
		sock_listen_at(at, "libnetwork/8a20.sock", 0600);
	char said[256] = "";
	int out, conn;
	pid_t pid;

	assert_true(listener >= 0);
	pid = start(argv, STATE, &out);
	conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(conn >= 0);
	assert_true(read(conn, said, sizeof(said) - 1) > 0);
	assert_string_equal(said,
		"{\"ContainerID\":\"c3d9\",\"Key\":\"/proc/4711/ns/net\"}\n");
	if (*answer)
		assert_int_equal(fd_write_all(conn, answer, strlen(answer)), 0);
	close(conn);
	(void)unlinkat(at, "libnetwork/8a20.sock", 0);
	return end(pid, out, text, size);
}

static void test_dockerd_is_told(void **state)
{
	char text[256];

	assert_int_equal(ask("success", text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

static void test_what_dockerd_says_is_passed_on(void **state)
{
	char text[256];

	assert_int_equal(ask("no such sandbox", text, sizeof(text)), 1);
	assert_string_equal(text, "failed to set key: no such sandbox\n");
	assert_int_equal(ask("", text, sizeof(text)), 1);
	assert_string_equal(
		text, "failed to set key: dockerd gave no answer\n");
}

static void becomes(const char **argv, const char *state_text)
{
	char text[256];
	int out;
	pid_t pid = start(argv, state_text, &out);

	assert_int_equal(end(pid, out, text, sizeof(text)), 7);
	assert_string_equal(text, state_text);
}

/* dockerd's own hook, with what was on the input. */
static void test_another_call_is_dockerds(void **state)
{
	const char *other[] = {"docker-setkey", "/bin/sh", "libnetwork-setkey",
		"-c", "cat; exit 7", NULL};
	const char *unknown[] = {"docker-setkey", "/bin/sh",
		"libnetwork-setkey", "-c", "cat; exit 7", "a", "b", NULL};

	becomes(other, STATE);
	becomes(unknown, STATE);
	becomes(other, "no JSON at all");
}

/* Nobody listens: what stands for dockerd sees its arguments. */
static void test_without_a_socket(void **state)
{
	_cleanup_free_ char *root = xasprintf("-exec-root=%s", dir);
	const char *argv[] = {"docker-setkey", "/bin/echo", DOCKER_SETKEY, root,
		"c3d9", "gone", NULL};
	_cleanup_free_ char *want = xasprintf("%s c3d9 gone\n", root);
	char text[256];
	int out;
	pid_t pid = start(argv, STATE, &out);

	assert_int_equal(end(pid, out, text, sizeof(text)), 0);
	assert_string_equal(text, want);
	argv[5] = "../x";
	pid = start(argv, STATE, &out);
	assert_int_equal(end(pid, out, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "c3d9 ../x\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dockerd_is_told),
		cmocka_unit_test(test_what_dockerd_says_is_passed_on),
		cmocka_unit_test(test_another_call_is_dockerds),
		cmocka_unit_test(test_without_a_socket),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
