/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a coved that answers what the test wants. */
#include "base/fd.h"
#include "cli/api.h"
#include "cli/sandbox.h"
#include "cli/text.h"
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char home[64];
static struct cli cli;
static struct api api = {.cli = &cli, .no_start = true};
static struct err err;
static pid_t server;
static char request[4096]; /* not filled: the server is another process */

/* One connection: waits for the end of a head, answers, closes. */
static void serve(const char *answer, size_t len, bool stay)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/run/coved.sock", home);
	unlink(path);
	int fd = sock_listen_at(AT_FDCWD, path, 0600);
	assert_true(fd >= 0);
	server = fork();
	if (server == 0) {
		size_t n = 0;
		int c = accept(fd, NULL, NULL);
		while (!strstr(request, "\r\n\r\n")) {
			ssize_t r =
				read(c, request + n, sizeof(request) - 1 - n);
			if (r <= 0)
				_exit(9);
			n += (size_t)r;
		}
		(void)fd_write_all(c, answer, len);
		if (stay)
			pause();
		/* A body may be unread: a reset must not eat the answer. */
		shutdown(c, SHUT_WR);
		while (read(c, request, sizeof(request)) > 0)
			;
		_exit(0);
	}
	close(fd);
}

static void serve_text(const char *answer)
{
	serve(answer, strlen(answer), false);
}

static void done(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
}

static int setup(void **state)
{
	char run[96];

	snprintf(home, sizeof(home), "%s", "/tmp/cove-api-XXXXXX");
	if (!mkdtemp(home))
		return -1;
	snprintf(run, sizeof(run), "%s/run", home);
	setenv("COVE_HOME", home, 1);
	return mkdir(run, 0700);
}

static int teardown(void **state)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/run/coved.sock", home);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run", home);
	rmdir(path);
	paths_done(&cli.paths);
	return rmdir(home);
}

#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

static void test_no_daemon(void **state)
{
	json_t *j;

	assert_int_equal(api_get(&api, "/v1/version", &j, &err), -ENOTCONN);
	assert_non_null(strstr(err.text, "cove daemon start"));
}

static void test_get(void **state)
{
	json_t *j;

	serve_text(JSON_HEAD "Content-Length: 8\r\n\r\n{\"a\": 7}");
	assert_int_equal(api_get(&api, "/v1/x", &j, &err), 0);
	assert_int_equal(ju64(j, "a"), 7);
	json_decref(j);
	done();
}

static void test_chunked(void **state)
{
	json_t *j;

	serve_text(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\n"
			     "3\r\n{\"a\r\n5\r\n\": 7}\r\n0\r\n\r\n");
	assert_int_equal(api_get(&api, "/v1/x", &j, &err), 0);
	assert_int_equal(ju64(j, "a"), 7);
	json_decref(j);
	done();
}

static void refused(
	const char *status, const char *body, int code, const char *text)
{
	char answer[1024];
	json_t *j;

	snprintf(answer, sizeof(answer),
		"HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
		strlen(body), body);
	serve_text(answer);
	assert_int_equal(api_get(&api, "/v1/x", &j, &err), -code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, text);
	done();
}

static void test_errors(void **state)
{
	refused("404 Not Found",
		"{\"error\":{\"code\":\"not_found\",\"message\":\"no x\"}}",
		ENOENT, "no x");
	refused("409 Conflict",
		"{\"error\":{\"code\":\"conflict\",\"message\":\"taken\"}}",
		EEXIST, "taken");
	refused("503 Service Unavailable",
		"{\"error\":{\"code\":\"unavailable\",\"message\":\"busy\"}}",
		EAGAIN, "busy");
	refused("500 Internal Server Error", "oops", EIO,
		"coved answered 500 Internal Server Error");
	assert_int_equal(cli_exit_of(ENOENT), CLI_REFUSED);
	assert_int_equal(cli_exit_of(EEXIST), CLI_REFUSED);
	assert_int_equal(cli_exit_of(ERANGE), CLI_REFUSED);
	assert_int_equal(cli_exit_of(EAGAIN), CLI_BROKEN);
	assert_int_equal(cli_exit_of(EIO), CLI_BROKEN);
	assert_int_equal(cli_exit_of(EUSAGE), CLI_USAGE);
}

static void broken(const char *answer, int code)
{
	json_t *j;

	serve_text(answer);
	assert_int_equal(api_get(&api, "/v1/x", &j, &err), -code);
	assert_true(err.text[0]);
	done();
}

static void test_broken(void **state)
{
	broken("", EPIPE);
	broken("HTTP/1.1 200 OK\r\nContent-Le", EPIPE);
	broken(JSON_HEAD "Content-Length: 100\r\n\r\n{}", EPIPE);
	broken(JSON_HEAD "Content-Length: 3\r\n\r\n{a}", EPROTO);
	broken(JSON_HEAD "Content-Length: 2\r\n\r\n[]", EPROTO);
	broken(JSON_HEAD "Content-Length: 0\r\n\r\n", EPROTO);
	broken("SSH-2.0-x\r\n\r\n", EPROTO);
	broken(JSON_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", EPROTO);
	broken("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", EPROTO);
	broken(JSON_HEAD "Content-Length: 15\r\n\r\n{\"a\":1,\"a\":2}  ",
		EPROTO);
}

static void test_timeout(void **state)
{
	struct api patient = {.cli = &cli, .no_start = true, .timeout_ms = 50};
	json_t *j;

	serve("HTTP/1.1 200", 12, true);
	assert_int_equal(api_get(&patient, "/v1/x", &j, &err), -ETIMEDOUT);
	done();
}

static int count_ticks;
static void tick(void *arg)
{
	siginfo_t si;

	count_ticks++;
	kill(server, SIGKILL);
	/* Its end is there to be read: that was the only tick. */
	(void)waitid(P_PID, (id_t)server, &si, WEXITED | WNOWAIT);
}

static void test_tick(void **state)
{
	struct api shown = {.cli = &cli, .no_start = true, .tick = tick};
	json_t *j;

	serve("", 0, true);
	assert_int_equal(api_get(&shown, "/v1/x", &j, &err), -EPIPE);
	assert_int_equal(count_ticks, 1);
	done();
}

static void test_exec(void **state)
{
	struct buf early, ask;
	int fd;

	buf_init(&early, 4096);
	buf_init(&ask, 4096);
	assert_int_equal(buf_put(&ask, "ask", 3), 0);
	serve_text("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
		   "Upgrade: cove-stream\r\n\r\nearly");
	assert_int_equal(api_exec(&api, "box", &ask, &fd, &early, &err), 0);
	char rest[8] = "";
	size_t have = buf_len(&early);
	memcpy(rest, buf_head(&early), have);
	while (have < 5)
		have += (size_t)read(fd, rest + have, 5 - have);
	assert_string_equal(rest, "early");
	close(fd);
	done();
	serve_text("HTTP/1.1 404 Not Found\r\nContent-Length: 52\r\n\r\n"
		   "{\"error\":{\"code\":\"not_found\",\"message\":\"no such "
		   "x\"}}");
	assert_int_equal(
		api_exec(&api, "box", NULL, &fd, &early, &err), -ENOENT);
	done();
	buf_done(&early);
	buf_done(&ask);
}

static const char created[] = JSON_HEAD
	"Transfer-Encoding: chunked\r\n\r\n"
	"2f\r\n{\"progress\":{\"step\":\"boot\",\"text\":\"starting\"}}\n\r\n"
	"11\r\n{\"sandbox\":{\"name\r\n"
	"a\r\n\":\"box\"}}\n\r\n0\r\n\r\n";

static void test_create(void **state)
{
	json_t *body = json_object();
	json_t *sb = NULL;

	serve_text(created);
	assert_int_equal(sandbox_create(&cli, body, true, &sb, &err), 0);
	assert_string_equal(jstr(sb, "name"), "box");
	json_decref(sb);
	done();
	serve_text(JSON_HEAD
		"Content-Length: 50\r\n\r\n"
		"{\"error\":{\"code\":\"unavailable\",\"message\":\"hung\"}}\n");
	assert_int_equal(sandbox_create(&cli, body, true, &sb, &err), -EAGAIN);
	assert_string_equal(err.text, "hung");
	done();
	serve_text(JSON_HEAD "Content-Length: 0\r\n\r\n");
	assert_int_equal(sandbox_create(&cli, body, true, &sb, &err), -EPROTO);
	done();
	json_decref(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_daemon),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_tick),
		cmocka_unit_test(test_exec),
		cmocka_unit_test(test_create),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	return cmocka_run_group_tests(tests, setup, teardown);
}
