/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "copy/reply.h"
#include "copy/tree.h"
#include "wire/agent.h"
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

_Static_assert(STREAM_IN_MAX >= TREE_IN_MAX, "a PUT hands its input over");

enum conn_state {
	CONN_NEW,  /* the request is due */
	CONN_EXEC, /* bound to a session */
	CONN_LAST, /* closed as soon as the answer is written */
	CONN_DEAD, /* to be freed */
};

struct conn {
	struct client client;
	struct list link;
	struct server *srv;
	enum conn_state state;
	size_t stdin_off; /* bytes of the first frame in the buffer that the
			     process has taken */
	struct task free;
};

static void free_task(struct loop *l, struct task *t)
{
	struct conn *c = container_of(t, struct conn, free);

	list_del(&c->link);
	c->srv->n_conns--;
	free(c);
}

/* The session, if any, has been told. */
static void conn_close(struct conn *c)
{
	stream_close(&c->client.stream);
	c->state = CONN_DEAD;
	loop_defer(c->srv->loop, &c->free, free_task);
}

static void conn_gone(struct conn *c)
{
	if (c->client.session)
		session_client_gone(c->client.session);
	conn_close(c);
}

/* Nothing more is read; what is in the stream is written, then it is closed. */
static void conn_finish(struct conn *c)
{
	c->state = CONN_LAST;
	if (!stream_blocked(&c->client.stream))
		conn_close(c);
	else
		stream_set_reading(&c->client.stream, false);
}

static void refuse(struct conn *c, const struct err *why)
{
	struct buf b;
	int r;

	buf_init(&b, 2 * ERR_TEXT_MAX);
	r = reply_failed(&b, why->code, why->text);
	if (r == 0)
		r = stream_send(&c->client.stream, buf_head(&b), buf_len(&b));
	buf_done(&b);
	if (r < 0)
		conn_close(c);
	else
		conn_finish(c);
}

static struct conn *conn_of(struct client *cl)
{
	return container_of(cl, struct conn, client);
}

static void on_done(struct client *cl)
{
	conn_finish(conn_of(cl));
}

static void on_lost(struct client *cl)
{
	conn_close(conn_of(cl));
}

/* ---- requests ---- */

static _Noreturn void copy_child(const struct server *s, uint8_t type,
	const struct request *q, struct buf *in)
{
	const char *work = s->env->config->workdir;
	struct account who = {0};
	struct err err = {0};
	struct buf b;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)fd_nonblock(3, false);
	r = spawn_become(s->env, q->user, &who, &err);
	if (r < 0) {
		buf_init(&b, 2 * ERR_TEXT_MAX);
		if (reply_failed(&b, err.code, err.text) == 0)
			(void)fd_write_all(3, buf_head(&b), buf_len(&b));
		_exit(1);
	}
	/* Relative paths mean what they mean to a command. */
	if ((!work || chdir(work) < 0) && chdir(who.home) < 0 && chdir("/") < 0)
		_exit(1);
	if (type == AF_GET)
		r = tree_serve_get(3, q->path, &err);
	else
		r = tree_serve_put(3, in, q->path, &err);
	_exit(r < 0);
}

static pid_t *free_copy(struct server *s)
{
	for (size_t i = 0; i < COPIES_MAX; i++)
		if (!s->copies[i])
			return &s->copies[i];
	return NULL;
}

static int start_copy(
	struct conn *c, uint8_t type, const struct request *q, struct err *err)
{
	struct server *s = c->srv;
	pid_t *slot = free_copy(s);
	struct buf in;
	pid_t pid;
	int fd;

	if (!slot)
		return err_set(err, EAGAIN, "too many copies at once");
	pid = spawn_fork(s->env, c->client.stream.fd);
	if (pid < 0)
		return err_sys(err, -pid, "copy: fork");
	if (pid == 0)
		copy_child(s, type, q, &c->client.stream.in);
	*slot = pid;
	fd = stream_take(&c->client.stream, &in);
	close(fd);
	buf_done(&in);
	conn_close(c);
	return 0;
}

static void resume_control(struct conn *c)
{
	struct buf in;
	int fd = stream_take(&c->client.stream, &in);

	c->srv->resume(c->srv->arg, fd, in);
	conn_close(c);
}

static int answer_done(struct conn *c, struct err *err)
{
	int r = stream_send_frame(&c->client.stream, AF_DONE, NULL, 0);

	if (r < 0)
		return err_sys(err, -r, "answer");
	conn_finish(c);
	return 0;
}

static int answer_list(struct conn *c, struct err *err)
{
	int r = sessions_list(&c->srv->sessions, &c->client.stream);

	return r < 0 ? err_sys(err, -r, "list") : answer_done(c, err);
}

static int answer_signal(
	struct conn *c, const struct request *q, struct err *err)
{
	int r = session_signal(&c->srv->sessions, q->id, (int)q->signo, err);

	return r < 0 ? r : answer_done(c, err);
}

/* 0 when the request was taken on; else -errno with text for FAILED. */
static int act(
	struct conn *c, uint8_t type, const struct request *q, struct err *err)
{
	struct sessions *m = &c->srv->sessions;
	int r;

	switch (type) {
	case AF_EXEC:
		r = session_start(m, q, &c->client, err);
		break;
	case AF_ATTACH:
		r = session_attach(m, q->id, &c->client, err);
		break;
	case AF_SIGNAL:
		return answer_signal(c, q, err);
	case AF_LIST:
		return answer_list(c, err);
	case AF_GET:
	case AF_PUT:
		return start_copy(c, type, q, err);
	default:
		return err_set(err, EBADMSG, "unknown request %u", type);
	}
	if (r == 0 && c->state == CONN_NEW)
		c->state = CONN_EXEC;
	return r;
}

/* The first frame; it is consumed first, because some hand the input over. */
static void on_request(struct conn *c, const struct frame *f)
{
	struct stream *s = &c->client.stream;
	_cleanup_(request_done) struct request q = {0};
	struct err err = {0};
	uint8_t type = f->type;
	int r = 0;

	if (type == AF_CTL_RESUME) {
		buf_consume(&s->in, FRAME_HEAD + f->len);
		resume_control(c);
		return;
	}
	if (!c->srv->ready)
		r = err_set(&err, EAGAIN, "the sandbox is not ready");
	r = r ? r : request_parse(type, f->p, f->len, &q, &err);
	buf_consume(&s->in, FRAME_HEAD + f->len);
	r = r ? r : act(c, type, &q, &err);
	if (r < 0 && c->state != CONN_DEAD)
		refuse(c, &err);
}

/* ---- frames of a bound client ---- */

static void on_winsize(struct conn *c, const struct frame *f)
{
	uint32_t rows, cols;

	if (request_winsize(f->p, f->len, &rows, &cols) == 0)
		session_winsize(c->client.session, rows, cols);
}

/* True when the frame is done with. */
static bool on_stdin(struct conn *c, const struct frame *f)
{
	size_t left = f->len - c->stdin_off;

	c->stdin_off +=
		session_stdin(c->client.session, f->p + c->stdin_off, left);
	if (c->stdin_off < f->len) {
		stream_set_reading(&c->client.stream, false);
		return false;
	}
	c->stdin_off = 0;
	return true;
}

static bool on_exec_frame(struct conn *c, const struct frame *f)
{
	struct session *s = c->client.session;

	switch (f->type) {
	case AF_STDIN:
		return on_stdin(c, f);
	case AF_STDIN_EOF:
		session_stdin_eof(s);
		return true;
	case AF_WINSIZE:
		on_winsize(c, f);
		return true;
	case AF_DETACH:
		session_detach(s);
		return true;
	default: /* of a newer host */
		return true;
	}
}

static void conn_parse(struct conn *c)
{
	struct stream *s = &c->client.stream;

	while (c->state == CONN_NEW || c->state == CONN_EXEC) {
		struct frame f;
		int n = frame_peek(&s->in, &f);

		if (n == 0)
			return;
		if (n < 0) {
			log_warn("exec stream: no frame");
			conn_gone(c);
			return;
		}
		if (c->state == CONN_NEW) {
			on_request(c, &f);
			continue;
		}
		if (!on_exec_frame(c, &f))
			return;
		if (c->state != CONN_DEAD)
			buf_consume(&s->in, FRAME_HEAD + f.len);
	}
}

static void on_more(struct client *cl)
{
	struct conn *c = conn_of(cl);

	stream_set_reading(&cl->stream, true);
	conn_parse(c);
}

/* ---- events ---- */

static void conn_readable(struct conn *c)
{
	ssize_t n = stream_fill(&c->client.stream);

	if (n == -EAGAIN)
		return;
	if (n <= 0)
		conn_gone(c);
	else
		conn_parse(c);
}

static void conn_writable(struct conn *c)
{
	if (stream_flush(&c->client.stream) < 0) {
		conn_gone(c);
		return;
	}
	if (stream_blocked(&c->client.stream))
		return;
	if (c->state == CONN_LAST)
		conn_close(c);
	else if (c->client.session)
		session_resume(c->client.session);
}

/*
 * The other end closed while nothing is read: because the answer is still being
 * written, or because the process does not take its stdin. A session that may
 * live without a client still gets the rest of its input.
 */
static void conn_end(struct conn *c, uint32_t events)
{
	bool half = !(events & (EPOLLHUP | EPOLLERR));

	if (half &&
		(c->state == CONN_LAST ||
			(c->client.session &&
				session_survives(c->client.session))))
		stream_ignore_end(&c->client.stream);
	else
		conn_gone(c);
}

static void conn_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, client.stream.watch);

	if (events & EPOLLOUT)
		conn_writable(c);
	if (c->state == CONN_DEAD)
		return;
	if (events & EPOLLIN)
		conn_readable(c);
	else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		conn_end(c, events);
}

static void add_conn(struct server *s, int fd)
{
	struct conn *c = xnew(struct conn);

	c->srv = s;
	if (stream_open(&c->client.stream, s->loop, fd, conn_event) < 0) {
		free(c);
		return;
	}
	list_add_tail(&s->conns, &c->link);
	s->n_conns++;
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct server *s = container_of(w, struct server, listen_watch);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (s->n_conns >= CONNS_MAX)
		close(fd);
	else
		add_conn(s, fd);
}

int server_init(struct server *s, struct loop *l, int listen_fd,
	const struct spawn_env *env, server_resume_fn *resume, void *arg)
{
	*s = (struct server){
		.loop = l,
		.env = env,
		.listen_fd = listen_fd,
		.resume = resume,
		.arg = arg,
	};
	list_init(&s->conns);
	sessions_init(&s->sessions, l, env);
	s->sessions.done = on_done;
	s->sessions.lost = on_lost;
	s->sessions.more = on_more;
	return loop_watch(l, &s->listen_watch, listen_fd, EPOLLIN, on_listen);
}

void server_done(struct server *s)
{
	loop_unwatch(s->loop, &s->listen_watch);
	closep(&s->listen_fd);
	list_for_each_safe (it, &s->conns) {
		struct conn *c = list_entry(it, struct conn, link);

		stream_close(&c->client.stream);
		list_del(&c->link);
		free(c);
	}
	sessions_done(&s->sessions);
}

bool server_reaped(struct server *s, pid_t pid, int wstatus)
{
	for (size_t i = 0; i < COPIES_MAX; i++)
		if (s->copies[i] == pid) {
			s->copies[i] = 0;
			return true;
		}
	return sessions_reaped(&s->sessions, pid, wstatus);
}

void server_close(struct server *s)
{
	s->ready = false;
	s->sessions.closed = true;
}
