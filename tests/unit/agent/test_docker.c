/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "agent/docker.h"
#include "base/fd.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char always[] = "{\"Binds\":null,\"NetworkMode\":\"default\","
			     "\"RestartPolicy\":{\"Name\":\"always\","
			     "\"MaximumRetryCount\":0},\"AutoRemove\":false}";

static void test_restart_policies(void **state)
{
	assert_true(docker_wants_restart(always));
	assert_true(docker_wants_restart(
		"{\"RestartPolicy\":{\"Name\":\"unless-stopped\"}}"));
	assert_true(docker_wants_restart(
		"{\"RestartPolicy\":{\"Name\":\"on-failure\"}}"));
	assert_false(docker_wants_restart(
		"{\"RestartPolicy\":{\"Name\":\"no\",\"M\":0}}"));
	assert_false(docker_wants_restart(
		"{\"RestartPolicy\":{\"Name\":\"\",\"M\":0}}"));
	assert_false(docker_wants_restart("{\"RestartPolicy\":{\"Name\":\""));
	assert_false(docker_wants_restart(""));
}

static void put(int dir, const char *id, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/hostconfig.json", id);
	int fd;

	assert_int_equal(mkdirat(dir, id, 0700), 0);
	fd = openat(dir, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

static void test_a_directory_of_containers(void **state)
{
	char path[] = "/tmp/test-docker.XXXXXX", cmd[64];
	int dir;

	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(docker_any_restart("/nonexistent"));
	assert_false(docker_any_restart(path));
	put(dir, "plain", "{\"RestartPolicy\":{\"Name\":\"no\"}}");
	/* What is no file must neither stop us nor count. */
	assert_int_equal(mkdirat(dir, "odd", 0700), 0);
	assert_int_equal(mkfifoat(dir, "odd/hostconfig.json", 0600), 0);
	assert_int_equal(mkdirat(dir, "link", 0700), 0);
	assert_int_equal(
		symlinkat("/dev/zero", dir, "link/hostconfig.json"), 0);
	assert_int_equal(mkdirat(dir, "empty", 0700), 0);
	assert_false(docker_any_restart(path));
	put(dir, "service", always);
	assert_true(docker_any_restart(path));
	close(dir);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", path);
	assert_int_equal(system(cmd), 0);
}

static bool has(const struct strv *v, const char *arg)
{
	for (size_t i = 0; i < v->n; i++)
		if (streq(v->v[i], arg))
			return true;
	return false;
}

static struct strv arguments(const char *json)
{
	struct strv v = {0};

	docker_arguments("/usr/sbin/dockerd", json, &v);
	assert_string_equal(v.v[0], "/usr/sbin/dockerd");
	assert_true(has(&v, "--host=fd://"));
	return v;
}

static void test_arguments_leave_room(void **state)
{
	struct strv v = arguments("{}");

	assert_true(has(&v, "--iptables=false"));
	assert_true(has(&v, "--ip6tables=false"));
	assert_true(has(&v, "--ip-forward=false"));
	assert_true(has(&v, "--storage-driver=overlay2"));
	assert_true(has(&v, "--cgroup-parent=/sandbox/docker"));
	strv_done(&v);

	v = arguments("{ \"ip-masq\": true, \"storage-driver\": \"vfs\" }");
	assert_true(has(&v, "--iptables=false"));
	assert_false(has(&v, "--ip-masq=false"));
	assert_false(has(&v, "--storage-driver=overlay2"));
	strv_done(&v);

	/* Who wants iptables wants all of Docker's own network. */
	v = arguments("{\"iptables\":true}");
	assert_false(has(&v, "--iptables=false"));
	assert_false(has(&v, "--ip-forward=false"));
	assert_true(has(&v, "--cgroup-parent=/sandbox/docker"));
	strv_done(&v);
}

static void test_refusal_is_one_message(void **state)
{
	const char *body;
	char out[2048], want[64];

	docker_refusal("a \"b\" \\ c\n\x1b[31m", out, sizeof(out));
	body = strstr(out, "\r\n\r\n");
	assert_non_null(body);
	body += 4;
	assert_string_equal(body, "{\"message\":\"a 'b' ' c  [31m\"}\n");
	(void)snprintf(
		want, sizeof(want), "Content-Length: %zu\r\n", strlen(body));
	assert_non_null(strstr(out, want));
	assert_memory_equal(out, "HTTP/1.1 503 ", 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_policies),
		cmocka_unit_test(test_a_directory_of_containers),
		cmocka_unit_test(test_arguments_leave_room),
		cmocka_unit_test(test_refusal_is_one_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
