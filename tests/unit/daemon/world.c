/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "world.h"

#include "base/buf.h"
#include "base/fd.h"
#include "http/http.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define WAIT_MS 30000

static int remove_one(
	const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

void world_write(struct world *w, const char *sub, const char *text)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", w->dir, sub);
	int fd;

	for (char *c = path + strlen(w->dir) + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		(void)mkdir(path, 0700);
		*c = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	close(fd);
}

/* In the place of cove-image: says how far it is, makes what was asked for. */
static const char image_script[] =
	"#!/bin/sh\n"
	"cd \"$COVE_HOME\" && mkdir -p cache/disks || exit 1\n"
	"echo '{\"step\":\"'$1'\",\"text\":\"busy\",\"done\":1,\"total\":2}'\n"
	"case $1 in\n"
	"disk) truncate -s \"$6\" \"cache/disks/ext4-$6-$4.img\" ;;\n"
	"shell) sleep 0.1; test -e fail && {\n"
	"  echo '{\"error\":\"no \\u0007network\"}'; exit 1; }\n"
	"  test -e nothing || ln -s ../sha256:aa cache/templates/names/shell ;;\n"
	"kernel) test -e cache/kernels/current && exit 0\n"
	"  echo 'not JSON'; echo 'the disk is gone' >&2; exit 3 ;;\n"
	"esac\n"
	"echo '{\"result\":{}}'\n";

/* A template, a kernel: empty, but of the right shape. */
static void fill_cache(struct world *w)
{
	static const uint8_t magic[] = {0xe2, 0xe1, 0xf5, 0xe0};
	char path[200];
	int fd;

	world_write(w, "cache/templates/sha256:aa/meta.json",
		"{\"env\":{\"A\":\"b\"}}");
	world_write(w, "cache/templates/sha256:aa/root.erofs", "");
	(void)snprintf(path, sizeof(path),
		"%s/cache/templates/sha256:aa/root.erofs", w->dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, magic, 4, 1024), 4);
	close(fd);
	(void)snprintf(path, sizeof(path), "%s/cache/templates/names", w->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(
		path, sizeof(path), "%s/cache/templates/names/shell", w->dir);
	assert_int_equal(symlink("../sha256:aa", path), 0);
	world_write(w, "cache/kernels/k1/vmlinux", "x");
	world_write(w, "cache/kernels/k1/initrd.cpio", "x");
	(void)snprintf(path, sizeof(path), "%s/cache/kernels/current", w->dir);
	assert_int_equal(symlink("k1", path), 0);
	world_write(w, "ws/file", "hello");
	world_write(w, "cove-image", image_script);
}

void world_init(struct world *w)
{
	*w = (struct world){.pid = -1};
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/cove-world-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	fill_cache(w);
}

bool world_start(struct world *w)
{
	const char *program = getenv("FAKE_COVED");
	int fd[2];
	ssize_t n;

	assert_non_null(program);
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		_cleanup_free_ char *log = xasprintf("%s/log", w->dir);
		int to = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		(void)dup2(fd[1], 1);
		(void)dup2(to, 2);
		(void)setenv("COVE_HOME", w->dir, 1);
		(void)setenv("COVE_LIBEXEC", w->dir, 1);
		(void)execl(program, program, NULL);
		_exit(127);
	}
	close(fd[1]);
	memset(w->text, 0, sizeof(w->text));
	n = read(fd[0], w->text, sizeof(w->text) - 1);
	close(fd[0]);
	if (n > 0 && streq(w->text, "ready\n"))
		return true;
	(void)waitpid(w->pid, NULL, 0);
	w->pid = -1;
	return false;
}

void world_kill(struct world *w)
{
	(void)kill(w->pid, SIGKILL);
	(void)waitpid(w->pid, NULL, 0);
	w->pid = -1;
}

int world_stop(struct world *w)
{
	int status = 0;

	(void)kill(w->pid, SIGTERM);
	(void)waitpid(w->pid, &status, 0);
	w->pid = -1;
	return status;
}

int world_connect(struct world *w)
{
	_cleanup_free_ char *run = xasprintf("%s/run", w->dir);
	int dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = sock_connect_at(dir, "coved.sock");

	close(dir);
	return fd;
}

static bool more(int fd, struct buf *in)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, WAIT_MS) != 1)
		return false;
	return buf_read_fd(in, fd, 65536) > 0;
}

static bool read_answer(
	int fd, struct http_parser *p, struct buf *in, struct buf *body)
{
	const uint8_t *data;
	struct http_body b;
	size_t used, len;
	int r;

	http_parser_init(p, HTTP_RESPONSE);
	while ((r = http_parse(p, buf_head(in), buf_len(in))) == 0)
		if (!more(fd, in))
			return false;
	if (r < 0)
		return false;
	http_body_init(&b, &p->head);
	buf_consume(in, p->head.size);
	if (p->head.status == 101)
		return true;
	for (;;) {
		r = http_body_feed(
			&b, buf_head(in), buf_len(in), &used, &data, &len);
		if (r < 0)
			return false;
		(void)buf_put(body, data, len);
		buf_consume(in, used);
		if (r == 1)
			return true;
		if (buf_len(in) == 0 && !more(fd, in))
			return http_body_eof(&b) == 0;
	}
}

int world_request(int fd, const char *method, const char *path,
	const char *extra, const char *body, json_t **ret, char *raw,
	size_t raw_size)
{
	_cleanup_free_ char *text =
		xasprintf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s"
			  "Content-Length: %zu\r\n\r\n%s",
			method, path, extra ? extra : "",
			body ? strlen(body) : 0, body ? body : "");
	struct http_parser p;
	struct buf in, out;
	int status = -1;

	buf_init(&in, 32u * 1024 * 1024);
	buf_init(&out, 32u * 1024 * 1024);
	if (fd_write_all(fd, text, strlen(text)) == 0 &&
		read_answer(fd, &p, &in, &out))
		status = (int)p.head.status;
	if (ret)
		*ret = json_loadb((const char *)buf_head(&out), buf_len(&out),
			JSON_REJECT_DUPLICATES, NULL);
	if (raw)
		(void)snprintf(raw, raw_size, "%.*s", (int)buf_len(&out),
			(const char *)buf_head(&out));
	buf_done(&in);
	buf_done(&out);
	close(fd);
	return status;
}

int world_call(struct world *w, const char *method, const char *path,
	const char *body, json_t **ret)
{
	int fd = world_connect(w);

	if (ret)
		*ret = NULL;
	if (fd < 0)
		return -1;
	return world_request(fd, method, path, NULL, body, ret, NULL, 0);
}

const char *world_state(struct world *w, const char *name)
{
	static char state[32];
	_cleanup_free_ char *path = xasprintf("/v1/sandboxes/%s", name);
	const char *s;
	json_t *j;

	state[0] = '\0';
	if (world_call(w, "GET", path, NULL, &j) == 200) {
		s = json_string_value(json_object_get(j, "state"));
		(void)snprintf(state, sizeof(state), "%s", s ? s : "?");
	}
	json_decref(j);
	return state;
}

bool world_wait_state(
	struct world *w, const char *name, const char *state, unsigned ms)
{
	uint64_t end = now_ms() + ms;

	while (!streq(world_state(w, name), state)) {
		if (now_ms() > end)
			return false;
		(void)poll(NULL, 0, 20);
	}
	return true;
}

bool world_wait_log(struct world *w, const char *text, unsigned ms)
{
	_cleanup_free_ char *path = xasprintf("%s/log", w->dir);
	uint64_t end = now_ms() + ms;

	for (;;) {
		_cleanup_free_ char *log = NULL;

		if (fd_slurp_at(AT_FDCWD, path, 16 * MIB, &log) > 0 &&
			strstr(log, text))
			return true;
		if (now_ms() > end)
			return false;
		(void)poll(NULL, 0, 20);
	}
}

bool world_has_event(struct world *w, const char *name, const char *type)
{
	_cleanup_free_ char *path = xasprintf("/v1/sandboxes/%s/events", name);
	bool found = false;
	json_t *j, *e;
	size_t i;

	if (world_call(w, "GET", path, NULL, &j) == 200)
		json_array_foreach (json_object_get(j, "events"), i, e)
			found = found ||
				streq(json_string_value(
					      json_object_get(e, "type")),
					type);
	json_decref(j);
	return found;
}

static bool names_world(const char *pid, const char *dir)
{
	char path[64], text[512];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	return n > 0 && memmem(text, (size_t)n, dir, strlen(dir));
}

unsigned world_procs(struct world *w)
{
	DIR *dir = opendir("/proc");
	unsigned n = 0;
	struct dirent *e;

	while ((e = readdir(dir)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			n += names_world(e->d_name, w->dir);
	closedir(dir);
	return n;
}

/* A killed process is there until the kernel has taken it apart. */
unsigned world_procs_settle(struct world *w, unsigned want)
{
	uint64_t until = now_ms() + 20000;
	unsigned n;

	while ((n = world_procs(w)) != want && now_ms() < until)
		(void)poll(NULL, 0, 20);
	return n;
}

unsigned world_entries(struct world *w, const char *sub)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", w->dir, sub);
	DIR *dir = opendir(path);
	unsigned n = 0;
	struct dirent *e;

	if (!dir)
		return 0;
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

int world_exec(struct world *w, const char *name)
{
	_cleanup_free_ char *text =
		xasprintf("POST /v1/sandboxes/%s/exec HTTP/1.1\r\nHost: x\r\n"
			  "Connection: Upgrade\r\nUpgrade: cove-stream\r\n\r\n",
			name);
	struct http_parser p;
	struct buf in, out;
	int fd = world_connect(w);
	int status = -1;

	if (fd < 0)
		return -1;
	buf_init(&in, 1024 * 1024);
	buf_init(&out, 1024 * 1024);
	if (fd_write_all(fd, text, strlen(text)) == 0 &&
		read_answer(fd, &p, &in, &out))
		status = (int)p.head.status;
	assert_int_equal(status == 101 ? buf_len(&in) : 0, 0);
	buf_done(&in);
	buf_done(&out);
	if (status == 101)
		return fd;
	close(fd);
	return -status;
}

static void remove_all(struct world *w)
{
	json_t *j = NULL, *sb;
	size_t i;

	if (world_call(w, "GET", "/v1/sandboxes", NULL, &j) == 200)
		json_array_foreach (json_object_get(j, "sandboxes"), i, sb) {
			_cleanup_free_ char *path = xasprintf(
				"/v1/sandboxes/%s?force=1",
				json_string_value(json_object_get(sb, "id")));

			assert_int_equal(
				world_call(w, "DELETE", path, NULL, NULL), 204);
		}
	json_decref(j);
}

void world_done(struct world *w)
{
	if (w->pid < 0)
		assert_true(world_start(w));
	remove_all(w);
	assert_int_equal(world_entries(w, "state/sandboxes"), 0);
	assert_int_equal(world_entries(w, "run"), 1); /* coved.sock */
	assert_int_equal(world_stop(w), 0);
	assert_int_equal(world_procs_settle(w, 0), 0);
	(void)nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int world_setup(void **state)
{
	struct world *w = xnew(struct world);

	world_init(w);
	*state = w;
	return world_start(w) ? 0 : -1;
}

int world_teardown(void **state)
{
	world_done(*state);
	free(*state);
	return 0;
}
