/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include "base/buf.h"
#include "base/fd.h"
#include "wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define STREAMS 32

struct guest {
	const char *name;
	int listen_fd;
	int ctl;
	int streams[STREAMS];
};

static bool is(const struct guest *g, const char *word)
{
	return strncmp(g->name, word, strlen(word)) == 0;
}

static void send_frame(int fd, uint8_t type, const struct buf *body)
{
	struct buf b;

	buf_init(&b, 2 * FRAME_MAX);
	(void)frame_put(&b, type, body ? buf_head(body) : NULL,
		body ? buf_len(body) : 0);
	(void)fd_write_all(fd, buf_head(&b), buf_len(&b));
	buf_done(&b);
}

static void send_text(int fd, uint8_t type, uint16_t tag, const char *text)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	(void)tlv_put_str(&b, tag, text);
	send_frame(fd, type, &b);
	buf_done(&b);
}

static void say_hello(struct guest *g)
{
	struct buf b;

	buf_init(&b, FRAME_MAX);
	(void)tlv_put_u32(
		&b, AT_VERSION, is(g, "old") ? WIRE_VERSION + 1 : WIRE_VERSION);
	(void)tlv_put_str(&b, AT_KERNEL, "6.1.0-fake\x1b[31m");
	send_frame(g->ctl, AF_HELLO, &b);
	buf_done(&b);
}

static void send_events(struct guest *g)
{
	struct buf b;

	for (int i = 0; i < 200; i++) {
		buf_init(&b, FRAME_MAX);
		(void)tlv_put_str(&b, AT_EVENT, "oom");
		(void)tlv_put_str(&b, AT_TEXT, "killed\n\x1b[2J");
		send_frame(g->ctl, AF_EVENT, &b);
		buf_done(&b);
	}
}

static void send_garbage(int fd)
{
	uint8_t junk[4096];

	memset(junk, 0xff, sizeof(junk));
	(void)fd_write_all(fd, junk, sizeof(junk));
}

/* 1: power off. */
static int on_frame(struct guest *g, uint8_t type, const uint8_t *p, size_t len)
{
	if (type == AF_CONFIG) {
		if (is(g, "fail")) {
			send_text(g->ctl, AF_FAILED, AT_TEXT,
				"no \x01 such mount");
			return 0;
		}
		send_frame(g->ctl, AF_READY, NULL);
		if (is(g, "event"))
			send_events(g);
		if (is(g, "bad"))
			send_garbage(g->ctl);
		if (is(g, "poweroff"))
			send_text(g->ctl, AF_EVENT, AT_EVENT, "poweroff");
		return is(g, "poweroff") || is(g, "crash") || is(g, "exit") ||
			is(g, "down");
	}
	if (type == AF_PING && !is(g, "mute")) {
		struct buf b;

		buf_init(&b, FRAME_MAX);
		(void)buf_put(&b, p, len);
		send_frame(g->ctl, AF_PONG, &b);
		buf_done(&b);
	}
	return type == AF_SHUTDOWN && !is(g, "deaf");
}

static int on_control(struct guest *g)
{
	static uint8_t body[FRAME_MAX];
	uint8_t head[FRAME_HEAD];
	uint32_t len;

	if (fd_read_all(g->ctl, head, sizeof(head)) < 0) {
		close(g->ctl);
		g->ctl = -1;
		return 0;
	}
	len = get_le32(head);
	if (len > FRAME_MAX || fd_read_all(g->ctl, body, len) < 0)
		return 1;
	return on_frame(g, head[4], body, len);
}

/* "CONNECT n\n"; what the stream is for shows with its first bytes. */
static void on_connect(struct guest *g)
{
	int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	char line[32] = "";

	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		if (read(fd, line + i, 1) != 1)
			break;
		if (line[i] == '\n')
			break;
	}
	if (is(g, "noexec")) {
		close(fd);
		return;
	}
	(void)fd_write_all(fd, "OK 1073741824\n", 14);
	for (int i = 0; i < STREAMS; i++) {
		if (g->streams[i] >= 0)
			continue;
		g->streams[i] = fd;
		return;
	}
	close(fd);
}

static void on_stream(struct guest *g, int i)
{
	static uint8_t data[65536];
	ssize_t n = recv(g->streams[i], data, FRAME_HEAD, MSG_PEEK);

	if (n == FRAME_HEAD && get_le32(data) == 0 &&
		data[4] == AF_CTL_RESUME) {
		(void)fd_read_all(g->streams[i], data, FRAME_HEAD);
		if (g->ctl >= 0)
			close(g->ctl);
		g->ctl = g->streams[i];
		g->streams[i] = -1;
		return;
	}
	n = read(g->streams[i], data, sizeof(data));
	if (n > 0 && fd_write_all(g->streams[i], data, (size_t)n) == 0)
		return;
	close(g->streams[i]);
	g->streams[i] = -1;
}

static int serve(struct guest *g)
{
	struct pollfd p[2 + STREAMS];

	for (;;) {
		p[0] = (struct pollfd){g->listen_fd, POLLIN, 0};
		p[1] = (struct pollfd){g->ctl, POLLIN, 0};
		for (int i = 0; i < STREAMS; i++)
			p[2 + i] = (struct pollfd){g->streams[i], POLLIN, 0};
		if (poll(p, 2 + STREAMS, -1) < 0)
			return 1;
		if (p[1].revents && on_control(g))
			return is(g, "exit") ? 9 : 0;
		if (p[0].revents)
			on_connect(g);
		for (int i = 0; i < STREAMS; i++)
			if (g->streams[i] >= 0 && p[2 + i].revents)
				on_stream(g, i);
	}
}

int fake_guest(const char *run_dir, const char *name, int listen_fd)
{
	struct guest g = {.name = name, .listen_fd = listen_fd, .ctl = -1};
	int dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int log = openat(dir, "console.log",
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)dprintf(log, "booting\r\n\x1b[1mhello\x1b[0m\n");
	if (is(&g, "crash"))
		(void)dprintf(
			log, "Kernel panic - not syncing: test\nR10: 0000\n");
	if (is(&g, "down"))
		(void)dprintf(log, "reboot: Power down\n");
	for (int i = 0; i < STREAMS; i++)
		g.streams[i] = -1;
	if (is(&g, "die"))
		return 3;
	if (is(&g, "hang"))
		(void)pause();
	g.ctl = sock_connect_at(dir, "vsock.sock_1024");
	if (g.ctl < 0)
		return 1;
	if (is(&g, "junk"))
		send_garbage(g.ctl);
	say_hello(&g);
	return serve(&g);
}
