/* SPDX-License-Identifier: Apache-2.0 */
/* What survives kill -9 of coved, and what the next coved makes of it. */
#include "cm.h"

#include "world.h"

#include "base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SMALL "\"disk\":67108864,\"docker_disk\":67108864"
#define ROUNDS 60
#define CLIENTS 4

static int create(struct world *w, const char *name)
{
	_cleanup_free_ char *body =
		xasprintf("{\"name\":\"%s\"," SMALL "}", name);

	return world_call(w, "POST", "/v1/sandboxes", body, NULL);
}

static void test_running_ones_are_adopted(void **state)
{
	struct world *w = *state;
	json_t *before, *after;
	int fd;

	assert_int_equal(create(w, "ok-a"), 201);
	assert_int_equal(
		world_call(w, "GET", "/v1/sandboxes/ok-a", NULL, &before), 200);
	world_kill(w);
	assert_int_equal(world_procs_settle(w, 2), 2);
	assert_true(world_start(w));
	assert_true(world_wait_state(w, "ok-a", "running", 30000));
	assert_int_equal(
		world_call(w, "GET", "/v1/sandboxes/ok-a", NULL, &after), 200);
	assert_true(json_equal(json_object_get(before, "pids_host"),
		json_object_get(after, "pids_host")));
	json_decref(before);
	json_decref(after);
	/* The control stream is resumed: it stays running, and stops well. */
	(void)poll(NULL, 0, 5500);
	assert_true(world_wait_state(w, "ok-a", "running", 30000));
	fd = world_exec(w, "ok-a");
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(world_call(w, "POST", "/v1/sandboxes/ok-a/stop",
				 "{\"timeout_ms\":60000}", NULL),
		200);
	assert_string_equal(world_state(w, "ok-a"), "stopped");
	assert_false(world_has_event(w, "ok-a", "stop.forced"));
}

static void test_dead_ones_are_told(void **state)
{
	struct world *w = *state;
	json_t *j;
	pid_t pid;

	assert_int_equal(create(w, "ok-d"), 201);
	assert_int_equal(
		world_call(w, "GET", "/v1/sandboxes/ok-d", NULL, &j), 200);
	pid = (pid_t)json_integer_value(
		json_object_get(json_object_get(j, "pids_host"), "engine"));
	json_decref(j);
	world_kill(w);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(world_start(w));
	assert_true(world_wait_state(w, "ok-d", "failed", 30000));
	assert_int_equal(world_procs(w), 0);
}

static void test_an_orderly_end_leaves_them_running(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, "ok-o"), 201);
	assert_int_equal(world_stop(w), 0);
	assert_int_equal(world_procs_settle(w, 2), 2);
	assert_true(world_start(w));
	assert_true(world_wait_state(w, "ok-o", "running", 30000));
}

static void test_leftovers_are_removed(void **state)
{
	struct world *w = *state;
	const char *id = "01234567-89ab-4def-8123-456789abcdef";
	char path[200];

	world_kill(w);
	(void)snprintf(path, sizeof(path), "state/sandboxes/%s/disk.img", id);
	world_write(w, path, "x");
	(void)snprintf(path, sizeof(path), "run/%s/console.log", id);
	world_write(w, path, "x");
	world_write(w, "state/sandboxes/keep-me/file", "not ours");
	assert_true(world_start(w));
	assert_int_equal(world_entries(w, "state/sandboxes"), 1);
	assert_int_equal(world_entries(w, "run"), 1);
	(void)snprintf(
		path, sizeof(path), "%s/state/sandboxes/keep-me/file", w->dir);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(
		path, sizeof(path), "%s/state/sandboxes/keep-me", w->dir);
	assert_int_equal(rmdir(path), 0);
}

/* Disks whose store is lost are somebody's work. */
static void test_a_lost_store_loses_no_disk(void **state)
{
	struct world *w = *state;
	char path[200];
	json_t *j;

	assert_int_equal(create(w, "ok-l"), 201);
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes/ok-l/stop", NULL, NULL),
		200);
	assert_int_equal(world_stop(w), 0);
	(void)snprintf(path, sizeof(path), "%s/state/cove.db", w->dir);
	assert_int_equal(unlink(path), 0);
	assert_true(world_start(w));
	assert_int_equal(world_entries(w, "state/sandboxes"), 1);
	assert_int_equal(
		world_call(w, "POST", "/v1/prune", "{\"dry_run\":true}", &j),
		200);
	assert_in_range(json_array_size(json_object_get(j, "items")), 1, 9);
	json_decref(j);
	assert_int_equal(world_entries(w, "state/sandboxes"), 1);
	assert_int_equal(world_call(w, "POST", "/v1/prune", "{}", NULL), 200);
	assert_int_equal(world_entries(w, "state/sandboxes"), 0);
}

static void test_a_second_daemon_refuses(void **state)
{
	struct world *w = *state;
	struct world other = *w;

	assert_false(world_start(&other));
	assert_non_null(strstr(other.text, "another coved with pid"));
	assert_string_equal(world_state(w, "none"), "");
}

static void test_a_damaged_store_is_refused(void **state)
{
	struct world *w = *state;
	char path[200];
	struct stat before, after;
	int fd;

	assert_int_equal(create(w, "ok-c"), 201);
	assert_int_equal(
		world_call(w, "POST", "/v1/sandboxes/ok-c/stop", NULL, NULL),
		200);
	assert_int_equal(world_stop(w), 0);
	(void)snprintf(path, sizeof(path), "%s/state/cove.db", w->dir);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "garbage!", 8, 0), 8);
	assert_int_equal(fstat(fd, &before), 0);
	assert_false(world_start(w));
	assert_non_null(strstr(w->text, "damaged"));
	assert_non_null(strstr(w->text, "cove.db"));
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	/* Repaired, everything is there again. */
	assert_int_equal(pwrite(fd, "SQLite f", 8, 0), 8);
	close(fd);
	assert_true(world_start(w));
	assert_string_equal(world_state(w, "ok-c"), "stopped");
}

/* A client that does things until coved is gone. */
static void client(struct world *w, unsigned seed)
{
	char name[32], path[96];
	int fd;

	for (;;) {
		(void)snprintf(name, sizeof(name), "ok-%u", rand_r(&seed) % 5);
		switch (rand_r(&seed) % 5) {
		case 0:
		case 1:
			if (create(w, name) < 0)
				_exit(0);
			break;
		case 2:
			(void)snprintf(path, sizeof(path),
				"/v1/sandboxes/%s/stop", name);
			if (world_call(w, "POST", path, NULL, NULL) < 0)
				_exit(0);
			break;
		case 3:
			(void)snprintf(path, sizeof(path),
				"/v1/sandboxes/%s?force=1", name);
			if (world_call(w, "DELETE", path, NULL, NULL) < 0)
				_exit(0);
			break;
		default:
			fd = world_exec(w, name);
			if (fd == -1 || fd == 1)
				_exit(0);
			if (fd >= 0)
				close(fd);
		}
	}
}

/* The store, the processes and the directories say the same. */
static void check_truth(struct world *w)
{
	unsigned running = 0, n = 0;
	json_t *j, *sb;
	size_t i;

	assert_int_equal(world_call(w, "GET", "/v1/sandboxes", NULL, &j), 200);
	json_array_foreach (json_object_get(j, "sandboxes"), i, sb) {
		const char *state =
			json_string_value(json_object_get(sb, "state"));

		n++;
		/* unresponsive: adopted, and slow to answer */
		if (streq(state, "running") || streq(state, "unresponsive"))
			running++;
		else if (!streq(state, "stopped") && !streq(state, "failed"))
			fail_msg("state %s", state);
	}
	json_decref(j);
	assert_int_equal(world_entries(w, "state/sandboxes"), n);
	assert_int_equal(world_procs_settle(w, 2 * running), 2 * running);
}

static void test_kill_at_random_moments(void **state)
{
	struct world *w = *state;
	unsigned seed = (unsigned)now_real_ns();
	pid_t pid[CLIENTS];

	print_message("seed %u\n", seed);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			pid[i] = fork();
			assert_true(pid[i] >= 0);
			if (pid[i] == 0)
				client(w, seed + (unsigned)(round * 10 + i));
		}
		(void)poll(NULL, 0, (int)(rand_r(&seed) % 120));
		world_kill(w);
		for (int i = 0; i < CLIENTS; i++) {
			(void)kill(pid[i], SIGKILL);
			(void)waitpid(pid[i], NULL, 0);
		}
		if (!world_start(w))
			fail_msg("round %d: %s", round, w->text);
		check_truth(w);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_running_ones_are_adopted),
		T(test_dead_ones_are_told),
		T(test_an_orderly_end_leaves_them_running),
		T(test_leftovers_are_removed),
		T(test_a_lost_store_loses_no_disk),
		T(test_a_second_daemon_refuses),
		T(test_a_damaged_store_is_refused),
		T(test_kill_at_random_moments),
	};

	return cmocka_run_group_tests_name("daemon/crash", tests, NULL, NULL);
}
