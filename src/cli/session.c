/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"
#include "base/fd.h"
#include "cli/term.h"
#include "copy/reply.h"
#include "wire/agent.h"
#include <assert.h>
#include <errno.h>
#include <string.h>

#define IN_MAX (4u * (FRAME_MAX + FRAME_HEAD))
#define OUT_MAX (2u * (FRAME_MAX + FRAME_HEAD))
/* Read standard input while less than this waits to be sent. */
#define OUT_LOW (FRAME_MAX / 2)

static void pump(struct session *s);

static void end(struct session *s, enum session_end how, int status)
{
	if (s->ending)
		return;
	s->ending = true;
	s->result->end = how;
	s->result->status = status;
	loop_stop(&s->loop, 0);
}

static int broken(struct session *s, const char *what)
{
	err_set(&s->result->err, EPROTO,
		"the sandbox's agent sent %s; the connection was dropped",
		what);
	end(s, SESSION_BROKEN, 0);
	return -EPROTO;
}

/* ---- from the agent ---- */

/* The value of a field that must be there. */
static int take_u32(const struct frame *f, uint16_t tag, uint32_t *ret)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct tlv t;

	while (tlv_next(&it, &t) == 1)
		if (t.tag == tag)
			return tlv_u32(&t, ret);
	return -EBADMSG;
}

/* 1 the frame is done, 0 the sink is full, -errno the session has ended. */
static int write_output(struct session *s, const struct frame *f)
{
	int which = f->type == AF_STDERR;

	while (s->written < f->len) {
		ssize_t n = sink_write(&s->sinks[which], f->p + s->written,
			f->len - s->written);
		if (n == -EAGAIN) {
			s->blocked = which;
			return 0;
		}
		if (n == -EPIPE) {
			end(s, SESSION_PIPE, 0);
			return -EPIPE;
		}
		if (n < 0) {
			err_sys(&s->result->err, (int)-n,
				"cannot write the command's output");
			end(s, SESSION_BROKEN, 0);
			return (int)n;
		}
		s->written += (size_t)n;
	}
	s->written = 0;
	return 1;
}

static int on_started(struct session *s, const struct frame *f)
{
	uint32_t flags;

	if (take_u32(f, AT_ID, &s->result->id) < 0)
		return broken(s, "a start without an id");
	/* What we attached to may have no terminal: then it is no raw one. */
	if (s->raw && take_u32(f, AT_FLAGS, &flags) == 0 && !(flags & EX_TTY)) {
		term_restore();
		s->raw = false;
	}
	if (s->req->detached)
		end(s, SESSION_STARTED, 0);
	return 1;
}

static int on_exit_frame(struct session *s, const struct frame *f)
{
	uint32_t status;

	if (take_u32(f, AT_STATUS, &status) < 0 || status > 255)
		return broken(s, "an end without a status");
	end(s, SESSION_EXITED, (int)status);
	return 1;
}

static int on_failed(struct session *s, const struct frame *f)
{
	reply_take_failed(f, &s->result->err);
	end(s, SESSION_FAILED, 0);
	return 1;
}

/* As write_output. */
static int on_frame(struct session *s, const struct frame *f)
{
	switch (f->type) {
	case AF_STDOUT:
	case AF_STDERR:
		return write_output(s, f);
	case AF_STARTED:
		return on_started(s, f);
	case AF_EXIT:
		return on_exit_frame(s, f);
	case AF_FAILED:
		return on_failed(s, f);
	default:
		return broken(s, "a frame that does not belong here");
	}
}

static void take_frames(struct session *s)
{
	while (!s->ending && s->blocked < 0) {
		struct frame f;
		int r = frame_peek(&s->in, &f);
		if (r < 0)
			broken(s, "something that is no frame");
		if (r <= 0)
			return;
		if (on_frame(s, &f) > 0)
			buf_consume(&s->in, FRAME_HEAD + f.len);
	}
}

static void read_stream(struct session *s)
{
	ssize_t n = buf_read_fd(&s->in, s->stream, 2 * FRAME_MAX);

	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		end(s, SESSION_LOST, 0);
		return;
	}
	take_frames(s);
}

/* ---- to the agent ---- */

static void write_stream(struct session *s)
{
	while (buf_len(&s->out) && !s->stream_dead) {
		ssize_t n = buf_write_fd(&s->out, s->stream);
		if (n == -EAGAIN)
			break;
		/* What the agent said last is still to be read. */
		if (n < 0)
			s->stream_dead = true;
	}
	if (s->stream_dead)
		buf_clear(&s->out);
	/* Without its number nobody could return to it. */
	if (s->detach_sent && buf_len(&s->out) == 0 && s->result->id)
		end(s, SESSION_DETACHED, 0);
}

static void on_detach_timer(struct loop *l, struct timer *t)
{
	struct session *s = container_of(t, struct session, detach_timer);

	/* The guest takes nothing any more; leave it all the same. */
	end(s, SESSION_DETACHED, 0);
}

static void begin_detach(struct session *s)
{
	s->detaching = true;
	s->stdin_open = false;
	loop_timer(
		&s->loop, &s->detach_timer, SESSION_DETACH_MS, on_detach_timer);
}

/* How many typed bytes go to the command: the last detach key is ours. */
static size_t take_typed(struct session *s, uint8_t *p, size_t len)
{
	bool detach = false;
	size_t n = keys_feed(&s->keys, p, len, now_ms(), &detach);

	if (detach)
		begin_detach(s);
	return n;
}

/* One frame, read in place behind the room for its head. */
static void read_stdin(struct session *s)
{
	uint8_t *frame = buf_reserve(&s->out, FRAME_HEAD + FRAME_MAX);

	assert(frame);
	ssize_t n = read(s->fds[0], frame + FRAME_HEAD, FRAME_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A terminal that is gone reads as EIO. */
	if (n <= 0) {
		s->stdin_open = false;
		s->stdin_eof = true;
		return;
	}
	size_t len = s->raw ? take_typed(s, frame + FRAME_HEAD, (size_t)n)
			    : (size_t)n;
	if (len == 0)
		return;
	frame_head(frame, AF_STDIN, (uint32_t)len);
	buf_add(&s->out, FRAME_HEAD + len);
}

/* Frames that wait for room: the end of input, then the detach. */
static void put_control(struct session *s)
{
	if (s->stdin_eof && frame_put(&s->out, AF_STDIN_EOF, NULL, 0) == 0)
		s->stdin_eof = false;
	if (s->detaching && !s->detach_sent &&
		frame_put(&s->out, AF_DETACH, NULL, 0) == 0)
		s->detach_sent = true;
}

static void send_winsize(struct session *s)
{
	uint32_t rows, cols;

	if (!s->req->tty)
		return;
	if (term_size(s->fds[1], &rows, &cols) < 0 &&
		term_size(s->fds[0], &rows, &cols) < 0)
		return;
	/* Lost when the buffer is full: the next change brings a newer one. */
	(void)request_put_winsize(&s->out, rows, cols);
}

/* ---- the loop ---- */

/* Idle descriptors are not watched at all: a hang-up would never be quiet. */
static int want(struct session *s, struct watch *w, int fd, uint32_t events,
	watch_fn *fn)
{
	if (!events) {
		loop_unwatch(&s->loop, w);
		return 0;
	}
	if (!w->active)
		return loop_watch(&s->loop, w, fd, events, fn);
	loop_rewatch(&s->loop, w, events);
	return 0;
}

static void on_stream(struct loop *l, struct watch *w, uint32_t events)
{
	struct session *s = container_of(w, struct session, stream_w);

	if (events & (EPOLLOUT | EPOLLERR))
		write_stream(s);
	if (s->blocked < 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		read_stream(s);
	pump(s);
}

static void on_stdin(struct loop *l, struct watch *w, uint32_t events)
{
	struct session *s = container_of(w, struct session, stdin_w);

	if (s->stdin_open)
		read_stdin(s);
	pump(s);
}

static void on_sink(struct session *s)
{
	s->blocked = -1;
	take_frames(s);
	pump(s);
}

static void on_stdout(struct loop *l, struct watch *w, uint32_t events)
{
	on_sink(container_of(w, struct session, sink_w[0]));
}

static void on_stderr(struct loop *l, struct watch *w, uint32_t events)
{
	on_sink(container_of(w, struct session, sink_w[1]));
}

static bool wants_stdin(const struct session *s)
{
	return s->stdin_open && !s->stream_dead && buf_len(&s->out) < OUT_LOW;
}

static int watch_all(struct session *s)
{
	bool reads = wants_stdin(s);
	uint32_t events = s->blocked < 0 ? EPOLLIN : 0;

	/* A file is always readable: room for its bytes is what is awaited. */
	if (buf_len(&s->out) || (reads && s->stdin_file))
		events |= EPOLLOUT;
	int r = want(s, &s->stream_w, s->stream, events, on_stream);
	if (r == 0)
		r = want(s, &s->stdin_w, s->fds[0],
			reads && !s->stdin_file ? EPOLLIN : 0, on_stdin);
	if (r == -EPERM) {
		s->stdin_file = true;
		return watch_all(s);
	}
	for (int i = 0; r == 0 && i < 2; i++)
		r = want(s, &s->sink_w[i], s->sinks[i].fd,
			s->blocked == i ? EPOLLOUT : 0,
			i ? on_stderr : on_stdout);
	return r;
}

/* After each event: move what can be moved, then say what is waited for. */
static void pump(struct session *s)
{
	if (s->ending)
		return;
	if (s->stdin_file && wants_stdin(s))
		read_stdin(s);
	put_control(s);
	write_stream(s);
	if (s->ending)
		return;
	int r = watch_all(s);
	if (r < 0) {
		err_sys(&s->result->err, -r, "cannot wait for the command");
		end(s, SESSION_BROKEN, 0);
	}
}

/* ---- signals ---- */

/*
 * The first one is passed on; a second one soon after, or one that arrives
 * before there is anything to pass it to, ends our part.
 */
static void pass_on(struct session *s, int signo)
{
	uint64_t now = now_ms();
	bool again = s->last_signo == signo &&
		now - s->last_signal_ms < SESSION_LEAVE_MS;

	s->last_signo = signo;
	s->last_signal_ms = now;
	if (again || signo == SIGHUP || !s->result->id || !s->send_signal) {
		end(s, SESSION_LEFT, 128 + signo);
		return;
	}
	s->send_signal(s->signal_arg, &s->loop, s->result->id, signo);
}

/* In raw mode Ctrl-Z belongs to the command: this one came from kill(1). */
static void suspend(struct session *s)
{
	if (s->raw)
		term_restore();
	raise(SIGSTOP);
	if (s->raw)
		term_raw_again();
}

static void on_signal(struct loop *l, void *arg, int signo)
{
	struct session *s = arg;

	if (s->ending)
		return;
	switch (signo) {
	case SIGTSTP:
		suspend(s);
		break;
	case SIGCONT:
		if (s->raw)
			term_raw_again();
		send_winsize(s);
		break;
	case SIGWINCH:
		send_winsize(s);
		break;
	default:
		pass_on(s, signo);
		break;
	}
	pump(s);
}

/* What was ignored when we were started stays ignored (nohup, "&"). */
static void signals_of(const struct session *s, sigset_t *ret)
{
	static const int passed[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
	struct sigaction sa;

	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		if (sigaction(passed[i], NULL, &sa) == 0 &&
			sa.sa_handler != SIG_IGN)
			sigaddset(ret, passed[i]);
	if (!s->req->tty)
		return;
	sigaddset(ret, SIGWINCH);
	sigaddset(ret, SIGCONT);
	if (s->raw)
		sigaddset(ret, SIGTSTP);
}

/* ---- beginning and end ---- */

static int begin(struct session *s)
{
	sigset_t set;
	int r = fd_nonblock(s->stream, true);

	if (r < 0)
		return err_sys(
			&s->result->err, -r, "the stream to the sandbox");
	if (!s->asked)
		r = request_put_exec(&s->out, s->req, &s->result->err);
	if (r < 0)
		return r;
	if (s->early && buf_len(s->early))
		(void)buf_put(&s->in, buf_head(s->early), buf_len(s->early));
	signals_of(s, &set);
	r = loop_signals(&s->loop, &set, on_signal, s);
	if (r < 0)
		return err_sys(&s->result->err, -r, "cannot take signals");
	if (s->raw && term_raw(s->fds[0]) < 0)
		s->raw = false;
	if (s->req->attach)
		send_winsize(s); /* the terminal may be another one now */
	return 0;
}

static void finish(struct session *s)
{
	loop_untimer(&s->loop, &s->detach_timer);
	loop_unwatch(&s->loop, &s->stream_w);
	loop_unwatch(&s->loop, &s->stdin_w);
	for (int i = 0; i < 2; i++) {
		loop_unwatch(&s->loop, &s->sink_w[i]);
		sink_done(&s->sinks[i]);
	}
	if (s->raw)
		term_restore();
	buf_done(&s->in);
	buf_done(&s->out);
}

static void run(struct session *s)
{
	sigset_t before;

	sigprocmask(SIG_SETMASK, NULL, &before);
	if (begin(s) < 0) {
		s->result->end = SESSION_BROKEN;
	} else {
		take_frames(s);
		pump(s);
		if (!s->ending && loop_run(&s->loop) < 0)
			s->result->end = SESSION_BROKEN;
	}
	finish(s);
	loop_done(&s->loop);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void session_run(struct session *s, struct session_result *ret)
{
	*ret = (struct session_result){.end = SESSION_BROKEN};
	s->result = ret;
	s->blocked = -1;
	s->stdin_open = s->req->stdin_open;
	buf_init(&s->in, IN_MAX);
	buf_init(&s->out, OUT_MAX);
	for (int i = 0; i < 2; i++)
		sink_init(&s->sinks[i], s->fds[i + 1]);
	int r = loop_init(&s->loop);
	if (r < 0)
		err_sys(&ret->err, -r, "cannot start an event loop");
	else
		run(s);
}
