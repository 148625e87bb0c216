/* SPDX-License-Identifier: Apache-2.0 */
/* The Docker socket of a sandbox on the host; the fake guest echoes. */
#include "cm.h"

#include "world.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SMALL "\"disk\":67108864,\"docker_disk\":67108864"

static void create(struct world *w, const char *name)
{
	_cleanup_free_ char *body =
		xasprintf("{\"name\":\"%s\"," SMALL "}", name);

	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes", body, NULL), 201);
}

/* The socket that the API names. */
static int dial(struct world *w, const char *name)
{
	_cleanup_free_ char *path = xasprintf("/v1/sandboxes/%s", name);
	_cleanup_free_ char *dir = xasprintf("%s/run/docker", w->dir);
	_cleanup_free_ char *file = xasprintf("%s.sock", name);
	_cleanup_free_ char *full = xasprintf("%s/%s", dir, file);
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	json_t *j;
	int fd;

	assert_int_equal(world_call(w, "GET", path, NULL, &j), 200);
	assert_string_equal(
		json_string_value(json_object_get(j, "docker_socket")), full);
	json_decref(j);
	fd = sock_connect_at(dirfd, file);
	close(dirfd);
	return fd;
}

static void refused(struct world *w, const char *name, const char *says)
{
	int fd = dial(w, name);
	const char *text;
	json_t *j;

	assert_true(fd >= 0);
	assert_int_equal(world_request(fd, "GET", "/v1.45/info", NULL, NULL, &j,
				 NULL, 0),
		503);
	text = json_string_value(json_object_get(j, "message"));
	if (!strstr(text, says))
		fail_msg("%s", text);
	json_decref(j);
}

static void test_bytes_both_ways(void **state)
{
	struct world *w = *state;
	char got[5] = "";
	int fd;

	create(w, "ok-d");
	fd = dial(w, "ok-d");
	assert_int_equal(fd_write_all(fd, "ping", 4), 0);
	assert_int_equal(fd_read_all(fd, got, 4), 0);
	assert_string_equal(got, "ping");
	/* The end of one direction arrives as such. */
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(recv(fd, got, 1, 0), 0);
	close(fd);
}

static void test_refusals_say_why(void **state)
{
	struct world *w = *state;

	create(w, "ok-d");
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes/ok-d/stop", NULL, NULL),
		200);
	refused(w, "ok-d", "cove start ok-d");
	create(w, "noexec-d");
	refused(w, "noexec-d", "no Docker daemon");
}

static void test_silent_callers_are_bounded(void **state)
{
	struct world *w = *state;
	int fds[300];
	char c;

	create(w, "ok-d");
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes/ok-d/stop", NULL, NULL),
		200);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = dial(w, "ok-d");
	/* One too many: closed at once. */
	assert_int_equal(recv(fds[ARRAY_SIZE(fds) - 1], &c, 1, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	assert_int_equal(
		world_call(w, "DELETE", "/v1/sandboxes/ok-d", NULL, NULL), 204);
	assert_int_equal(world_entries(w, "run"), 1);
}

static void test_it_is_there_after_a_restart(void **state)
{
	struct world *w = *state;

	create(w, "ok-d");
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes/ok-d/stop", NULL, NULL),
		200);
	world_kill(w);
	world_write(w, "run/docker/nobodys.sock", "x");
	assert_true(world_start(w));
	assert_int_equal(world_entries(w, "run/docker"), 1);
	refused(w, "ok-d", "is stopped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_bytes_both_ways, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
			test_refusals_say_why, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_silent_callers_are_bounded,
			world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(
			test_it_is_there_after_a_restart, world_setup,
			world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
