/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"
#include "cm.h"

#include "agent/server.h"
#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SOCKET "exec.sock"
#define OUTPUT_MAX (64 * MIB)

/* ---- the agent's side ---- */

static void on_signal(struct loop *l, void *arg, int signo)
{
	struct server *s = arg;
	pid_t pid;
	int ws;

	if (signo == SIGTERM) {
		loop_stop(l, 0);
		return;
	}
	while ((pid = waitpid(-1, &ws, WNOHANG)) > 0)
		(void)server_reaped(s, pid, ws);
}

static void no_resume(void *arg, int fd, struct buf in)
{
	close(fd);
	buf_done(&in);
}

static int serve(int listen_fd, const char *etc)
{
	static const struct config config;
	struct spawn_env env = {
		.config = &config, .etc_dir = etc, .cgroup_fd = -1};
	static struct server server;
	struct loop loop;
	sigset_t set;
	int r = loop_init(&loop);

	/* As PID 1 begins: whoever runs the tests may ignore some. */
	for (int i = 1; i < 32; i++)
		(void)signal(i, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	/* Orphans come to the agent, as they do to PID 1. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = r ? r : loop_signals(&loop, &set, on_signal, &server);
	r = r ? r
	      : server_init(&server, &loop, listen_fd, &env, no_resume, NULL);
	server.ready = true;
	r = r ? r : loop_run(&loop);
	server_done(&server);
	loop_done(&loop);
	return r < 0 ? 1 : 0;
}

static void put_text(int dirfd, const char *name, const char *text)
{
	assert_int_equal(
		fd_replace_at(dirfd, name, text, strlen(text), 0644), 0);
}

void peer_start(struct peer *p)
{
	_cleanup_close_ int dir = -1;
	_cleanup_free_ char *passwd = xasprintf(
		"me:x:%u:%u::%s:/bin/sh\n", getuid(), getgid(), "/tmp");
	int fd;

	snprintf(p->dir, sizeof(p->dir), "%s", "/tmp/cove-agent-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	dir = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	put_text(dir, "passwd", passwd);
	put_text(dir, "group", "");
	fd = sock_listen_at(dir, SOCKET, 0600);
	assert_true(fd >= 0);
	(void)signal(SIGPIPE, SIG_IGN);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		exit(serve(fd, p->dir));
	close(fd);
}

void peer_stop(struct peer *p)
{
	static const char *const files[] = {SOCKET, "passwd", "group"};
	int ws;

	assert_int_equal(kill(p->pid, SIGTERM), 0);
	assert_int_equal(waitpid(p->pid, &ws, 0), p->pid);
	assert_true(WIFEXITED(ws));
	assert_int_equal(WEXITSTATUS(ws), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path =
			xasprintf("%s/%s", p->dir, files[i]);

		(void)unlink(path);
	}
	(void)rmdir(p->dir);
}

/* ---- the host's side ---- */

int peer_connect(const struct peer *p)
{
	_cleanup_close_ int dir =
		open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = sock_connect_at(dir, SOCKET);

	assert_true(fd >= 0);
	return fd;
}

void peer_send(int fd, uint8_t type, const void *p, size_t len)
{
	uint8_t head[FRAME_HEAD];

	frame_head(head, type, (uint32_t)len);
	assert_int_equal(fd_write_all(fd, head, sizeof(head)), 0);
	assert_int_equal(fd_write_all(fd, p, len), 0);
}

static void send_body(int fd, uint8_t type, struct buf *b)
{
	peer_send(fd, type, buf_head(b), buf_len(b));
	buf_done(b);
}

void peer_exec(
	int fd, uint32_t flags, const char *const *argv, const char *const *env)
{
	_cleanup_free_ char *user = xasprintf("%u", getuid());
	struct buf b;

	buf_init(&b, FRAME_MAX);
	assert_int_equal(tlv_put_u32(&b, AT_FLAGS, flags), 0);
	assert_int_equal(tlv_put_str(&b, AT_USER, user), 0);
	for (; *argv; argv++)
		assert_int_equal(tlv_put_str(&b, AT_ARG, *argv), 0);
	for (; env && *env; env++)
		assert_int_equal(tlv_put_str(&b, AT_ENV, *env), 0);
	send_body(fd, AF_EXEC, &b);
}

void peer_request(int fd, uint8_t type, uint32_t id, uint32_t signo)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	assert_int_equal(tlv_put_u32(&b, AT_ID, id), 0);
	assert_int_equal(tlv_put_u32(&b, AT_SIGNO, signo), 0);
	send_body(fd, type, &b);
}

void peer_winsize(int fd, uint32_t rows, uint32_t cols)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	assert_int_equal(tlv_put_u32(&b, AT_ROWS, rows), 0);
	assert_int_equal(tlv_put_u32(&b, AT_COLS, cols), 0);
	send_body(fd, AF_WINSIZE, &b);
}

int peer_frame(int fd, char *buf, size_t size, size_t *ret_len)
{
	uint8_t head[FRAME_HEAD];
	uint32_t len;
	int r = fd_read_all(fd, head, sizeof(head));

	if (r == -EPIPE || r == -ECONNRESET)
		return 0;
	assert_int_equal(r, 0);
	len = get_le32(head);
	assert_true(len < size);
	assert_int_equal(fd_read_all(fd, buf, len), 0);
	buf[len] = '\0';
	*ret_len = len;
	return head[4];
}

static void take_numbers(struct result *r, const char *p, size_t len)
{
	struct tlv_iter it = tlv_iter(p, len);
	struct tlv t;
	int n;

	while ((n = tlv_next(&it, &t)) == 1) {
		if (t.tag == AT_ID)
			assert_int_equal(tlv_u32(&t, &r->id), 0);
		else if (t.tag == AT_PID)
			assert_int_equal(tlv_u32(&t, &r->pid), 0);
		else if (t.tag == AT_STATUS)
			assert_int_equal(tlv_u32(&t, &r->status), 0);
		else if (t.tag == AT_SIGNO)
			assert_int_equal(tlv_u32(&t, &r->signo), 0);
		else if (t.tag == AT_TEXT)
			(void)buf_put(&r->failed, t.p, t.len);
	}
	assert_int_equal(n, 0);
}

/* True while more may come. */
static bool take_frame(struct result *r, int type, const char *p, size_t len)
{
	switch (type) {
	case AF_STARTED:
		assert_false(r->started);
		r->started = true;
		take_numbers(r, p, len);
		return true;
	case AF_STDOUT:
		assert_int_equal(buf_put(&r->out, p, len), 0);
		return true;
	case AF_STDERR:
		assert_int_equal(buf_put(&r->err, p, len), 0);
		return true;
	case AF_SESSION:
		r->sessions++;
		return true;
	case AF_EXIT:
	case AF_FAILED:
		take_numbers(r, p, len);
		return false;
	case AF_DONE:
		r->done = true;
		return false;
	default:
		return false;
	}
}

void peer_expect(int fd, const char *what)
{
	static char frame[FRAME_MAX + 1];
	struct buf all;
	size_t len;

	buf_init(&all, 1 * MIB);
	for (;;) {
		int type = peer_frame(fd, frame, sizeof(frame), &len);

		assert_int_not_equal(type, 0);
		assert_int_not_equal(type, AF_EXIT);
		if (type != AF_STDOUT)
			continue;
		assert_int_equal(buf_put(&all, frame, len + 1), 0);
		if (strstr((const char *)buf_head(&all), what))
			break;
		all.end--; /* the NUL */
	}
	buf_done(&all);
}

void peer_collect(int fd, struct result *r)
{
	static char frame[FRAME_MAX + 1];
	size_t len;
	int type;

	*r = (struct result){.status = UINT32_MAX};
	buf_init(&r->out, OUTPUT_MAX);
	buf_init(&r->err, OUTPUT_MAX);
	buf_init(&r->failed, ERR_TEXT_MAX);
	do
		type = peer_frame(fd, frame, sizeof(frame), &len);
	while (take_frame(r, type, frame, len));
	/* The last frame is the last: after it the stream ends. */
	if (type != 0)
		assert_int_equal(peer_frame(fd, frame, sizeof(frame), &len), 0);
}

void result_done(struct result *r)
{
	buf_done(&r->out);
	buf_done(&r->err);
	buf_done(&r->failed);
}

static const char *text(struct buf *b)
{
	assert_int_equal(buf_put(b, "", 1), 0);
	return (const char *)buf_head(b);
}

const char *result_out(struct result *r)
{
	return text(&r->out);
}

const char *result_err(struct result *r)
{
	return text(&r->err);
}

const char *result_failed(struct result *r)
{
	return text(&r->failed);
}

void peer_run(const struct peer *p, uint32_t flags, const char *const *argv,
	struct result *r)
{
	_cleanup_close_ int fd = peer_connect(p);

	peer_exec(fd, flags, argv, NULL);
	peer_collect(fd, r);
}
