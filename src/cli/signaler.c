/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/signaler.h"
#include "base/fd.h"
#include "cli/api.h"
#include "cli/request.h"
#include <errno.h>
#include <sys/socket.h>

#define ANSWER_MAX (HTTP_HEAD_MAX + 4096u)

/* One signal: ask for a stream, then put the frame on it, then wait for EOF. */
struct sending {
	struct list link;
	struct watch watch;
	struct task free_task;
	struct signaler *owner;
	int fd;
	bool switched;
	struct buf in;
	struct http_parser parser;
	uint32_t id;
	int signo;
};

static void sending_free(struct sending *s)
{
	list_del(&s->link);
	s->owner->n--;
	closep(&s->fd);
	buf_done(&s->in);
	free(s);
}

static void free_later(struct loop *l, struct task *t)
{
	sending_free(container_of(t, struct sending, free_task));
}

static void sending_end(struct loop *l, struct sending *s)
{
	loop_unwatch(l, &s->watch);
	loop_defer(l, &s->free_task, free_later);
}

static int send_buf(int fd, const struct buf *b)
{
	ssize_t n =
		send(fd, buf_head(b), buf_len(b), MSG_NOSIGNAL | MSG_DONTWAIT);

	return n == (ssize_t)buf_len(b) ? 0 : -EIO;
}

static int send_frame(struct sending *s)
{
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, 4096);
	int r = request_put_signal(&out, s->id, s->signo);
	return r == 0 ? send_buf(s->fd, &out) : r;
}

/* After the switch the answer itself does not matter, only that it is over. */
static void on_readable(struct loop *l, struct watch *w, uint32_t events)
{
	struct sending *s = container_of(w, struct sending, watch);
	ssize_t n = buf_read_fd(&s->in, s->fd, 4096);

	if (n <= 0 || s->switched) {
		sending_end(l, s);
		return;
	}
	int r = api_take_switch(&s->in, &s->parser, NULL);
	if (r > 0) {
		s->switched = true;
		r = send_frame(s);
	}
	if (r < 0)
		sending_end(l, s);
}

static int request_stream(int fd, const char *sandbox)
{
	_cleanup_(buf_done) struct buf out;

	buf_init(&out, 4096);
	int r = api_put_exec(&out, sandbox);
	return r == 0 ? send_buf(fd, &out) : r;
}

void signaler_init(struct signaler *g, struct cli *cli, const char *sandbox)
{
	*g = (struct signaler){.cli = cli, .sandbox = sandbox};
	list_init(&g->sendings);
}

void signaler_done(struct signaler *g)
{
	list_for_each_safe (it, &g->sendings)
		sending_free(list_entry(it, struct sending, link));
}

void signaler_send(void *arg, struct loop *l, uint32_t id, int signo)
{
	struct signaler *g = arg;
	struct api api = {.cli = g->cli, .no_start = true};

	if (g->n == SIGNALER_MAX)
		return;
	_cleanup_close_ int fd = api_connect(&api, NULL);
	if (fd < 0 || request_stream(fd, g->sandbox) < 0)
		return;
	struct sending *s = xnew(struct sending);
	s->owner = g;
	s->id = id;
	s->signo = signo;
	buf_init(&s->in, ANSWER_MAX);
	http_parser_init(&s->parser, HTTP_RESPONSE);
	s->fd = TAKE_FD(fd);
	list_add_tail(&g->sendings, &s->link);
	g->n++;
	if (loop_watch(l, &s->watch, s->fd, EPOLLIN, on_readable) < 0)
		sending_free(s);
}
