/* SPDX-License-Identifier: Apache-2.0 */
/* The life of sandboxes through the API, with an engine that is a process. */
#include "cm.h"

#include "world.h"

#include "base/fd.h"
#include "daemon/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SMALL "\"disk\":67108864,\"docker_disk\":67108864"

static int create(
	struct world *w, const char *name, const char *more, json_t **ret)
{
	_cleanup_free_ char *body = xasprintf("{\"name\":\"%s\"," SMALL "%s%s}",
		name, *more ? "," : "", more);

	return world_call(w, "POST", "/v1/sandboxes", body, ret);
}

static int post(
	struct world *w, const char *name, const char *verb, const char *body)
{
	_cleanup_free_ char *path =
		xasprintf("/v1/sandboxes/%s/%s", name, verb);

	return world_call(w, "POST", path, body, NULL);
}

static const char *str(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static pid_t host_pid(struct world *w, const char *name, const char *role)
{
	_cleanup_free_ char *path = xasprintf("/v1/sandboxes/%s", name);
	json_t *j = NULL;
	pid_t pid;

	assert_int_equal(world_call(w, "GET", path, NULL, &j), 200);
	pid = (pid_t)json_integer_value(
		json_object_get(json_object_get(j, "pids_host"), role));
	json_decref(j);
	return pid;
}

static void test_create_use_remove(void **state)
{
	struct world *w = *state;
	json_t *j;

	assert_int_equal(create(w, "ok-one", "", &j), 201);
	assert_string_equal(str(j, "state"), "running");
	assert_string_equal(str(j, "name"), "ok-one");
	assert_string_equal(str(j, "template_digest"), "sha256:aa");
	/* The guest's escape sequence does not come through. */
	assert_string_equal(str(j, "kernel"), "6.1.0-fake?[31m");
	assert_int_equal(strlen(str(j, "id")), 36);
	json_decref(j);
	assert_int_equal(world_procs_settle(w, 2), 2);
	assert_int_equal(create(w, "ok-one", "", NULL), 409);
	assert_int_equal(
		world_call(w, "DELETE", "/v1/sandboxes/ok-one", NULL, NULL),
		409);
	assert_int_equal(
		post(w, "ok-one", "stop", "{\"timeout_ms\":500}"), 200);
	assert_string_equal(world_state(w, "ok-one"), "stopped");
	assert_int_equal(world_procs(w), 0);
	assert_int_equal(post(w, "ok-one", "stop", NULL), 200);
	assert_int_equal(post(w, "ok-one", "start", NULL), 200);
	assert_true(world_wait_state(w, "ok-one", "running", 30000));
	assert_int_equal(world_call(w, "DELETE", "/v1/sandboxes/ok-one?force=1",
				 NULL, NULL),
		204);
	assert_string_equal(world_state(w, "ok-one"), "");
	assert_int_equal(world_procs(w), 0);
	assert_int_equal(world_entries(w, "state/sandboxes"), 0);
}

static void echo(int fd, size_t total)
{
	static uint8_t out[65536], in[65536];
	size_t sent = 0, got = 0;
	struct pollfd p = {.fd = fd};
	ssize_t n;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + (i >> 8));
	while (got < total) {
		p.events = (short)(POLLIN | (sent < total ? POLLOUT : 0));
		assert_int_equal(poll(&p, 1, 20000), 1);
		if (p.revents & POLLOUT && sent < total) {
			n = send(fd, out + sent % sizeof(out),
				MIN(sizeof(out) - sent % sizeof(out),
					total - sent),
				MSG_DONTWAIT);
			sent += n > 0 ? (size_t)n : 0;
		}
		if (!(p.revents & POLLIN))
			continue;
		n = read(fd, in, sizeof(in));
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(
				in[i], out[(got + (size_t)i) % sizeof(out)]);
		got += (size_t)n;
	}
}

static void test_exec_carries_bytes(void **state)
{
	struct world *w = *state;
	uint8_t byte;
	int fd[8];

	assert_int_equal(create(w, "ok-x", "", NULL), 201);
	for (int i = 0; i < 8; i++) {
		fd[i] = world_exec(w, "ok-x");
		assert_true(fd[i] >= 0);
	}
	for (int i = 0; i < 8; i++)
		echo(fd[i], 3u * 1024 * 1024);
	/* Half-close: the guest sees the end, answers, and closes. */
	assert_int_equal(shutdown(fd[0], SHUT_WR), 0);
	assert_int_equal(read(fd[0], &byte, 1), 0);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	assert_int_equal(world_exec(w, "nobody"), -404);
}

static void test_exec_starts_what_is_stopped(void **state)
{
	struct world *w = *state;
	int fd;

	assert_int_equal(create(w, "ok-s", "", NULL), 201);
	assert_int_equal(post(w, "ok-s", "stop", NULL), 200);
	fd = world_exec(w, "ok-s");
	assert_true(fd >= 0);
	echo(fd, 1000);
	close(fd);
	assert_true(world_wait_state(w, "ok-s", "running", 30000));
	/* The end of an engine is seen, and the next exec works again. */
	assert_int_equal(kill(host_pid(w, "ok-s", "engine"), SIGKILL), 0);
	assert_true(world_wait_state(w, "ok-s", "failed", 30000));
	assert_int_equal(world_procs(w), 0);
	fd = world_exec(w, "ok-s");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(kill(host_pid(w, "ok-s", "devices"), SIGKILL), 0);
	assert_true(world_wait_state(w, "ok-s", "failed", 30000));
	assert_int_equal(world_procs(w), 0);
}

static void test_failed_creates_leave_nothing(void **state)
{
	static const struct {
		const char *name;
		const char *says;
	} cases[] = {
		{"nostart", "does not start"},
		{"die-now", "status 3"},
		{"fail-mount", "no ? such mount"},
		{"old-agent", "protocol 2"},
		{"hang-boot", "hung"},
	};
	struct world *w = *state;
	json_t *j;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *text;

		assert_int_equal(create(w, cases[i].name, "", &j), 503);
		text = str(json_object_get(j, "error"), "message");
		if (!strstr(text, cases[i].says))
			fail_msg("%s: %s", cases[i].name, text);
		json_decref(j);
		assert_string_equal(world_state(w, cases[i].name), "");
		assert_int_equal(world_entries(w, "state/sandboxes"), 0);
		assert_int_equal(world_entries(w, "run"), 1);
		assert_int_equal(world_procs(w), 0);
	}
}

static void test_refusals_before_anything_is_made(void **state)
{
	static const struct {
		const char *body;
		int status;
		const char *says;
	} cases[] = {
		{"{\"name\":\"A\"}", 400, "invalid name"},
		{"{\"name\":\"-ab\"}", 400, "invalid name"},
		{"{\"name\":\"../x\"}", 400, "invalid name"},
		{"{\"nam\":\"x1\"}", 400, "unknown field 'nam'"},
		{"{\"name\":7}", 400, "must be a string"},
		{"{\"name\":\"ok\",\"name\":\"ok\"}", 400, "duplicate"},
		{"{\"name\":\"o\\u0000k\"}", 400, "JSON"},
		{"[]", 400, "object"},
		{"{", 400, "invalid JSON"},
		{"{\"cpus\":0}", 422, "cpus"},
		{"{\"cpus\":100000}", 422, "1 to "},
		{"{\"cpus\":-1}", 400, "cpus"},
		{"{\"cpus\":1.5}", 400, "integer"},
		{"{\"memory\":1048576}", 422, "128 MiB to"},
		{"{\"memory\":9007199254740993}", 422, "128 MiB to"},
		{"{\"memory\":99999999999999999999}", 400, "JSON"},
		{"{\"disk\":1}", 422, "disk"},
		{"{\"docker_disk\":99999999999999999}", 422, "docker-disk"},
		{"{\"pids\":1}", 422, "pids"},
		{"{\"timeout_ms\":1}", 422, "timeout_ms"},
		{"{\"engine\":\"xen\"}", 400, "xen"},
		{"{\"engine\":\"kvm\"}", 422, "no KVM"},
		{"{\"template\":\"nope\"}", 404, "template"},
		{"{\"template\":\"../../etc\"}", 400, "template"},
		{"{\"workspaces\":{}}", 400, "array"},
		{"{\"workspaces\":[1]}", 400, "object"},
		{"{\"workspaces\":[{}]}", 400, "'host' is missing"},
		{"{\"workspaces\":[{\"host\":\"rel\"}]}", 400, "absolute"},
		{"{\"workspaces\":[{\"host\":\"/a/../b\"}]}", 400, "'..'"},
		{"{\"workspaces\":[{\"host\":\"/no/such/place\"}]}", 404,
			"/no/such/place"},
		{"{\"workspaces\":[{\"host\":\"/dev/null\","
		 "\"guest\":\"/x\"}]}",
			400, "neither"},
		{"{\"workspaces\":[{\"host\":\"/usr/share\",\"guest\":\"/\"}]}",
			400, "take the place"},
		{"{\"workspaces\":[{\"host\":\"/usr/share\",\"guest\":"
		 "\"/proc/x\"}]}",
			400, "below"},
		{"{\"workspaces\":[{\"host\":\"/\"}]}", 400, ""},
		{"{\"workspaces\":[{\"host\":\"/usr/share\"},"
		 "{\"host\":\"/usr/share\"}]}",
			400, "two workspaces"},
		{"{\"env\":{\"A B\":\"x\"}}", 400, "variable"},
		{"{\"env\":{\"A\":1}}", 400, "string"},
	};
	struct world *w = *state;
	json_t *j;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int s = world_call(
			w, "POST", "/v1/sandboxes", cases[i].body, &j);
		const char *text = str(json_object_get(j, "error"), "message");

		if (s != cases[i].status || !strstr(text, cases[i].says))
			fail_msg("%s: %d %s", cases[i].body, s, text);
		json_decref(j);
	}
	assert_int_equal(world_entries(w, "state/sandboxes"), 0);
	assert_int_equal(world_entries(w, "cache/disks"), 0);
}

static void test_own_directories_are_not_shared(void **state)
{
	static const char *const paths[] = {
		"", "/state", "/state/sandboxes", "/run"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_free_ char *body =
			xasprintf("{\"workspaces\":[{\"host\":\"%s%s\"}]}",
				w->dir, paths[i]);
		json_t *j;

		assert_int_equal(
			world_call(w, "POST", "/v1/sandboxes", body, &j), 400);
		assert_non_null(strstr(
			str(json_object_get(j, "error"), "message"), "own"));
		json_decref(j);
	}
}

static void test_names_are_chosen(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *body = xasprintf(
		"{" SMALL ",\"workspaces\":[{\"host\":\"%s/ws\"}]}", w->dir);
	json_t *j;

	assert_int_equal(world_call(w, "POST", "/v1/sandboxes", body, &j), 201);
	assert_string_equal(str(j, "name"), "shell-ws");
	json_decref(j);
	/* The same place again: there is something to attach to. */
	assert_int_equal(world_call(w, "POST", "/v1/sandboxes", body, &j), 409);
	json_decref(j);
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes", "{" SMALL "}", &j), 201);
	assert_string_equal(str(j, "name"), "shell");
	assert_string_equal(str(j, "workdir"), "/home/agent/workspace");
	json_decref(j);
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes", "{" SMALL "}", &j), 201);
	assert_string_equal(str(j, "name"), "shell-2");
	json_decref(j);
}

static void test_stop_is_forced(void **state)
{
	struct world *w = *state;
	uint64_t begin;

	assert_int_equal(create(w, "deaf", "", NULL), 201);
	begin = now_ms();
	assert_int_equal(post(w, "deaf", "stop", "{\"timeout_ms\":100}"), 200);
	assert_true(now_ms() - begin < 30000);
	assert_string_equal(world_state(w, "deaf"), "stopped");
	assert_true(world_has_event(w, "deaf", "stop.forced"));
	assert_int_equal(world_procs(w), 0);
}

static void test_silence_is_noticed(void **state)
{
	struct world *w = *state;
	int fd;

	assert_int_equal(create(w, "mute", "", NULL), 201);
	assert_true(world_wait_state(w, "mute", "unresponsive", 30000));
	assert_true(world_has_event(w, "mute", "unresponsive"));
	assert_int_equal(post(w, "mute", "stop", "{\"timeout_ms\":100}"), 200);
	assert_int_equal(create(w, "ok-quiet", "", NULL), 201);
	assert_int_equal(kill(host_pid(w, "ok-quiet", "engine"), SIGSTOP), 0);
	assert_true(world_wait_state(w, "ok-quiet", "unresponsive", 30000));
	assert_int_equal(kill(host_pid(w, "ok-quiet", "engine"), SIGCONT), 0);
	assert_true(world_wait_state(w, "ok-quiet", "running", 30000));
	fd = world_exec(w, "ok-quiet");
	assert_true(fd >= 0);
	close(fd);
}

static void test_guests_that_misbehave(void **state)
{
	struct world *w = *state;
	json_t *j;
	size_t n;

	/* Garbage after READY costs the control stream; coved dials again. */
	assert_int_equal(create(w, "bad", "", NULL), 201);
	assert_true(world_wait_state(w, "bad", "running", 30000));
	/* A flood of events fills a few rows, not the store. */
	assert_int_equal(create(w, "event", "", NULL), 201);
	for (uint64_t until = now_ms() + 20000;; (void)poll(NULL, 0, 20)) {
		assert_int_equal(
			world_call(w, "GET", "/v1/sandboxes/event/events", NULL,
				&j),
			200);
		n = json_array_size(json_object_get(j, "events"));
		json_decref(j);
		if (n >= 2 || now_ms() > until)
			break;
	}
	assert_in_range(n, 2, 25);
	assert_int_equal(create(w, "poweroff", "", NULL), 201);
	assert_true(world_wait_state(w, "poweroff", "stopped", 30000));
	assert_int_equal(create(w, "down", "", NULL), 201);
	assert_true(world_wait_state(w, "down", "stopped", 30000));
	assert_int_equal(create(w, "exit", "", NULL), 201);
	assert_true(world_wait_state(w, "exit", "failed", 30000));
	assert_int_equal(
		world_call(w, "GET", "/v1/sandboxes/exit", NULL, &j), 200);
	assert_non_null(strstr(str(j, "reason"), "engine process"));
	assert_non_null(strstr(str(j, "reason"), "status 9"));
	assert_non_null(strstr(str(j, "reason"), "booting | hello"));
	json_decref(j);
	assert_int_equal(create(w, "crash", "", NULL), 201);
	assert_true(world_wait_state(w, "crash", "failed", 30000));
	assert_true(world_has_event(w, "crash", "panic"));
	assert_int_equal(
		world_call(w, "GET", "/v1/sandboxes/crash", NULL, &j), 200);
	assert_non_null(strstr(str(j, "reason"),
		"kernel stopped: Kernel panic - not syncing: test"));
	json_decref(j);
	assert_int_equal(create(w, "noexec", "", NULL), 201);
	assert_int_equal(world_exec(w, "noexec"), -503);
}

static void test_timeout_ends_it(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, "ok-t", "\"timeout_ms\":1000", NULL), 201);
	assert_true(world_wait_state(w, "ok-t", "stopped", 30000));
	assert_true(world_has_event(w, "ok-t", "timeout"));
}

/* A connection that waits for the answer to a create. */
static int send_create(struct world *w, const char *body)
{
	_cleanup_free_ char *text =
		xasprintf("POST /v1/sandboxes HTTP/1.1\r\nHost: x\r\n"
			  "Content-Length: %zu\r\n\r\n%s",
			strlen(body), body);
	int fd = world_connect(w);

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	return fd;
}

static void is_created(int fd)
{
	char head[13] = "";

	assert_int_equal(fd_read_all(fd, head, 12), 0);
	assert_string_equal(head, "HTTP/1.1 201");
}

static void test_remove_when_it_stops(void **state)
{
	struct world *w = *state;
	int creator, fd;

	/* Its client stays until it is used: the time after that is short. */
	creator = send_create(
		w, "{\"name\":\"ok-rm\",\"remove\":true," SMALL "}");
	is_created(creator);
	fd = world_exec(w, "ok-rm");
	assert_true(fd >= 0);
	echo(fd, 10);
	close(fd);
	close(creator);
	/* The client that created it is gone, but it had been used. */
	(void)poll(NULL, 0, 600);
	assert_true(world_wait_state(w, "ok-rm", "running", 30000));
	assert_int_equal(post(w, "ok-rm", "stop", NULL), 200);
	assert_string_equal(world_state(w, "ok-rm"), "");
	/* Nobody comes: it goes by itself. */
	assert_int_equal(create(w, "ok-rm2", "\"remove\":true", NULL), 201);
	assert_true(world_wait_state(w, "ok-rm2", "", 30000));
	assert_int_equal(world_procs(w), 0);
	assert_int_equal(world_entries(w, "state/sandboxes"), 0);
}

static void test_progress_is_streamed(void **state)
{
	struct world *w = *state;
	char raw[8192];
	int s = world_request(world_connect(w), "POST", "/v1/sandboxes",
		"Accept: application/x-ndjson\r\n",
		"{\"name\":\"ok-p\"," SMALL "}", NULL, raw, sizeof(raw));

	assert_int_equal(s, 200);
	assert_non_null(strstr(raw, "{\"progress\":{\"step\":\"disk\""));
	assert_non_null(strstr(raw, "{\"progress\":{\"step\":\"boot\""));
	assert_non_null(strstr(raw, "\n{\"sandbox\":{"));
	s = world_request(world_connect(w), "POST", "/v1/sandboxes",
		"Accept: application/x-ndjson\r\n",
		"{\"name\":\"die\"," SMALL "}", NULL, raw, sizeof(raw));
	assert_int_equal(s, 200);
	assert_non_null(strstr(raw, "\n{\"error\":{"));
}

static void test_logs(void **state)
{
	struct world *w = *state;
	char raw[8192];
	int fd;
	ssize_t n;

	assert_int_equal(create(w, "ok-log", "", NULL), 201);
	assert_int_equal(world_request(world_connect(w), "GET",
				 "/v1/sandboxes/ok-log/logs", NULL, NULL, NULL,
				 raw, sizeof(raw)),
		200);
	assert_non_null(strstr(raw, " running the guest is ready\n"));
	assert_int_equal(world_request(world_connect(w), "GET",
				 "/v1/sandboxes/ok-log/logs?source=console",
				 NULL, NULL, NULL, raw, sizeof(raw)),
		200);
	if (!strstr(raw, "hello"))
		fail_msg("%s", raw);
	assert_int_equal(world_request(world_connect(w), "GET",
				 "/v1/sandboxes/ok-log/logs?source=x", NULL,
				 NULL, NULL, raw, sizeof(raw)),
		400);
	/* Following ends with the sandbox. */
	fd = world_connect(w);
	n = snprintf(raw, sizeof(raw),
		"GET /v1/sandboxes/ok-log/logs?follow=1 HTTP/1.1\r\n"
		"Host: x\r\n\r\n");
	assert_int_equal(write(fd, raw, (size_t)n), n);
	assert_int_equal(post(w, "ok-log", "stop", NULL), 200);
	assert_int_equal(
		world_call(w, "DELETE", "/v1/sandboxes/ok-log", NULL, NULL),
		204);
	(void)shutdown(fd, SHUT_WR);
	n = 0;
	for (ssize_t k;
		(k = read(fd, raw + n, sizeof(raw) - 1 - (size_t)n)) > 0;)
		n += k;
	raw[n] = '\0';
	assert_non_null(strstr(raw, "0\r\n\r\n"));
	close(fd);
}

static void test_ten_at_once(void **state)
{
	struct world *w = *state;
	int fd[10];

	for (int i = 0; i < 10; i++) {
		_cleanup_free_ char *body =
			xasprintf("{\"name\":\"ok-%d\"," SMALL "}", i);

		fd[i] = send_create(w, body);
	}
	for (int i = 0; i < 10; i++) {
		is_created(fd[i]);
		close(fd[i]);
	}
	assert_int_equal(world_procs_settle(w, 20), 20);
}

static void test_what_is_missing_is_made(void **state)
{
	struct world *w = *state;
	char path[200], kernel[200];
	json_t *j;

	(void)snprintf(
		path, sizeof(path), "%s/cache/templates/names/shell", w->dir);
	assert_int_equal(unlink(path), 0);
	/* The helper fails, and says why. */
	world_write(w, "fail", "");
	assert_int_equal(create(w, "ok-m", "", &j), 503);
	assert_non_null(strstr(
		str(json_object_get(j, "error"), "message"), "no  network"));
	json_decref(j);
	/* It says that it is done, and nothing is there. */
	(void)snprintf(kernel, sizeof(kernel), "%s/fail", w->dir);
	assert_int_equal(unlink(kernel), 0);
	world_write(w, "nothing", "");
	assert_int_equal(create(w, "ok-m", "", &j), 503);
	json_decref(j);
	(void)snprintf(kernel, sizeof(kernel), "%s/nothing", w->dir);
	assert_int_equal(unlink(kernel), 0);
	/* No other template can be built. */
	assert_int_equal(
		create(w, "ok-m", "\"template\":\"other\"", NULL), 404);
	assert_int_equal(create(w, "ok-m", "", NULL), 201);
	/* A program that dies without a word is quoted from its stderr. */
	(void)snprintf(
		kernel, sizeof(kernel), "%s/cache/kernels/current", w->dir);
	assert_int_equal(unlink(kernel), 0);
	assert_int_equal(create(w, "ok-m2", "", &j), 503);
	assert_non_null(strstr(str(json_object_get(j, "error"), "message"),
		"the disk is gone"));
	json_decref(j);
	assert_int_equal(world_entries(w, "state/sandboxes"), 1);
}

static void test_a_damaged_template_is_refused(void **state)
{
	struct world *w = *state;
	json_t *j;

	assert_int_equal(create(w, "ok-v", "", NULL), 201);
	assert_int_equal(post(w, "ok-v", "stop", NULL), 200);
	world_write(w, "cache/templates/sha256:aa/root.erofs", "cut short");
	assert_int_equal(create(w, "ok-w", "", &j), 503);
	assert_non_null(
		strstr(str(json_object_get(j, "error"), "message"), "damaged"));
	json_decref(j);
	assert_int_equal(world_entries(w, "state/sandboxes"), 1);
	/* One that exists cannot start, says so, and keeps its disk. */
	assert_int_equal(post(w, "ok-v", "start", NULL), 503);
	assert_string_equal(world_state(w, "ok-v"), "failed");
	assert_int_equal(world_entries(w, "state/sandboxes"), 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_create_use_remove),
		T(test_exec_carries_bytes),
		T(test_exec_starts_what_is_stopped),
		T(test_failed_creates_leave_nothing),
		T(test_refusals_before_anything_is_made),
		T(test_own_directories_are_not_shared),
		T(test_names_are_chosen),
		T(test_stop_is_forced),
		T(test_silence_is_noticed),
		T(test_guests_that_misbehave),
		T(test_timeout_ends_it),
		T(test_remove_when_it_stops),
		T(test_progress_is_streamed),
		T(test_logs),
		T(test_ten_at_once),
		T(test_what_is_missing_is_made),
		T(test_a_damaged_template_is_refused),
	};

	return cmocka_run_group_tests_name("daemon/life", tests, NULL, NULL);
}
