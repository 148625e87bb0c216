/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/session.h"

#include "agent/stdfds.h"
#include "agent/tty.h"
#include "base/log.h"
#include "wire/agent.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define PUMP_BUDGET 8       /* reads of one descriptor per turn */
#define LIST_TEXT_MAX 4096u /* argument bytes of a SESSION frame */

struct output {
	struct session *session;
	struct watch watch;
	int fd; /* owned; -1 at the end */
	uint8_t type;
	bool counted; /* lingering is over: left bytes are the last */
	size_t left;
};

struct session {
	struct list link;
	struct sessions *m;
	struct client *client; /* NULL while nobody is attached */
	struct launch *launch;
	struct replay *replay; /* NULL unless the session may be detached */
	struct strv argv;
	uint32_t id;
	pid_t pid;
	uint32_t flags;
	struct output out[2];
	int in_fd; /* owned; -1 when closed */
	struct watch in_watch;
	bool ended;
	bool attached; /* the client came by ATTACH */
	bool hung_up;
	int wstatus;
	struct timer linger;
	struct task check;
};

static void close_input(struct session *s)
{
	loop_unwatch(s->m->loop, &s->in_watch);
	closep(&s->in_fd);
}

static void close_output(struct output *o)
{
	loop_unwatch(o->session->m->loop, &o->watch);
	closep(&o->fd);
}

static void session_free(struct session *s)
{
	struct sessions *m = s->m;
	struct loop *l = m->loop;

	close_input(s);
	close_output(&s->out[0]);
	close_output(&s->out[1]);
	loop_untimer(l, &s->linger);
	if (s->check.queued) {
		list_del(&s->check.link);
		s->check.queued = false;
	}
	if (s->client)
		s->client->session = NULL;
	/* One that has not ended may still be about to execute. */
	if (s->ended)
		launch_free(s->launch);
	replay_free(s->replay);
	strv_done(&s->argv);
	list_del(&s->link);
	if (m->spare)
		free(s);
	else
		m->spare = s;
}

void sessions_init(
	struct sessions *m, struct loop *l, const struct spawn_env *env)
{
	*m = (struct sessions){.loop = l, .env = env};
	list_init(&m->list);
}

void sessions_done(struct sessions *m)
{
	list_for_each_safe (it, &m->list)
		session_free(list_entry(it, struct session, link));
	free(TAKE_PTR(m->spare));
}

static struct session *find(const struct sessions *m, uint32_t id)
{
	list_for_each (it, &m->list) {
		struct session *s = list_entry(it, struct session, link);

		if (s->id == id)
			return s;
	}
	return NULL;
}

/* Just forked, it may not lead its group yet: then it is alone. */
static int kill_group(const struct session *s, int signo)
{
	if (kill(-s->pid, signo) == 0 || kill(s->pid, signo) == 0)
		return 0;
	return -errno;
}

bool session_survives(const struct session *s)
{
	return s->replay != NULL;
}

/* ---- the end of a session ---- */

static int put_status(struct buf *b, int wstatus)
{
	int r;

	if (!WIFSIGNALED(wstatus))
		return tlv_put_u32(
			b, AT_STATUS, (uint32_t)WEXITSTATUS(wstatus));
	r = tlv_put_u32(b, AT_STATUS, 128u + (uint32_t)WTERMSIG(wstatus));
	return r ? r : tlv_put_u32(b, AT_SIGNO, (uint32_t)WTERMSIG(wstatus));
}

static void check_task(struct loop *l, struct task *t);

/* Deferred: callers are in the middle of something with the session. */
static void check_later(struct session *s)
{
	loop_defer(s->m->loop, &s->check, check_task);
}

static void unbind(struct session *s, bool lost)
{
	struct client *c = TAKE_PTR(s->client);

	if (!c)
		return;
	c->session = NULL;
	if (lost)
		s->m->lost(c);
	else
		s->m->done(c);
}

static void send_exit(struct session *s)
{
	struct buf b;
	int r;

	buf_init(&b, 64);
	r = put_status(&b, s->wstatus);
	if (r == 0)
		r = stream_send_frame(
			&s->client->stream, AF_EXIT, buf_head(&b), buf_len(&b));
	buf_done(&b);
	unbind(s, r < 0);
}

/* Only so many of the ended sessions that nobody has fetched are kept. */
static void keep_ended(struct sessions *m)
{
	struct session *oldest = NULL;
	unsigned int n = 0;

	list_for_each (it, &m->list) {
		struct session *s = list_entry(it, struct session, link);

		if (!s->ended || s->client)
			continue;
		if (!oldest)
			oldest = s;
		n++;
	}
	if (n > SESSIONS_ENDED_MAX)
		session_free(oldest);
}

static bool outputs_ended(const struct session *s)
{
	return s->out[0].fd < 0 && s->out[1].fd < 0;
}

static void linger_over(struct loop *l, struct timer *t);

static void check_task(struct loop *l, struct task *t)
{
	struct session *s = container_of(t, struct session, check);
	bool keep;

	if (!s->ended)
		return;
	close_input(s);
	if (!outputs_ended(s)) {
		if (!s->linger.armed && !s->out[0].counted)
			loop_timer(
				l, &s->linger, SESSION_LINGER_MS, linger_over);
		return;
	}
	loop_untimer(l, &s->linger);
	keep = session_survives(s) && !(s->client && s->attached);
	if (s->client)
		send_exit(s);
	if (keep)
		keep_ended(s->m);
	else
		session_free(s);
}

/* ---- output ---- */

static void output_event(struct loop *l, struct watch *w, uint32_t events);

static void watch_output(struct output *o)
{
	struct loop *l = o->session->m->loop;

	if (o->fd < 0 || o->watch.active)
		return;
	if (loop_watch(l, &o->watch, o->fd, EPOLLIN, output_event) < 0)
		log_error(
			"session %u: cannot watch its output", o->session->id);
}

static void pause_outputs(struct session *s)
{
	loop_unwatch(s->m->loop, &s->out[0].watch);
	loop_unwatch(s->m->loop, &s->out[1].watch);
}

static bool paused(const struct session *s)
{
	return s->client && stream_blocked(&s->client->stream);
}

static void resume_outputs(struct session *s)
{
	if (paused(s))
		return;
	watch_output(&s->out[0]);
	watch_output(&s->out[1]);
}

/* The frame in m->frame, its payload len bytes long. */
static void emit(struct session *s, uint8_t type, size_t len)
{
	struct sessions *m = s->m;
	int r;

	if (s->replay)
		replay_add(s->replay, type, m->frame + FRAME_HEAD, len);
	if (!s->client)
		return;
	frame_head(m->frame, type, (uint32_t)len);
	r = stream_send(&s->client->stream, m->frame, FRAME_HEAD + len);
	if (r < 0) {
		unbind(s, true);
		session_client_gone(s);
	} else if (paused(s)) {
		pause_outputs(s);
	}
}

/* False when there is nothing (more) to be had now. */
static bool pump_once(struct output *o)
{
	struct session *s = o->session;
	size_t want = o->counted ? MIN(o->left, FRAME_MAX) : FRAME_MAX;
	ssize_t n = want ? read(o->fd, s->m->frame + FRAME_HEAD, want) : 0;

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN && !o->counted)
		return false;
	/* EIO is how a terminal says that its last user is gone. */
	if (n <= 0) {
		close_output(o);
		check_later(s);
		return false;
	}
	o->left -= o->counted ? (size_t)n : 0;
	emit(s, o->type, (size_t)n);
	return true;
}

static void pump(struct output *o)
{
	for (int i = 0; i < PUMP_BUDGET; i++)
		if (o->fd < 0 || paused(o->session) || !pump_once(o))
			return;
}

static void output_event(struct loop *l, struct watch *w, uint32_t events)
{
	pump(container_of(w, struct output, watch));
}

static void linger_over(struct loop *l, struct timer *t)
{
	struct session *s = container_of(t, struct session, linger);

	for (size_t i = 0; i < ARRAY_SIZE(s->out); i++) {
		struct output *o = &s->out[i];
		int left = 0;

		if (o->fd >= 0 && ioctl(o->fd, FIONREAD, &left) < 0)
			left = 0;
		o->counted = true;
		o->left = (size_t)MAX(left, 0);
		pump(o);
	}
	check_later(s);
}

/* A client that was slow may be the reason why a counted output has not ended. */
void session_resume(struct session *s)
{
	resume_outputs(s);
	for (size_t i = 0; i < ARRAY_SIZE(s->out); i++)
		if (s->out[i].counted)
			pump(&s->out[i]);
}

/* ---- input ---- */

static void input_event(struct loop *l, struct watch *w, uint32_t events)
{
	struct session *s = container_of(w, struct session, in_watch);

	loop_unwatch(l, w);
	if (s->client)
		s->m->more(s->client);
}

static void watch_input(struct session *s)
{
	if (s->in_watch.active)
		return;
	if (loop_watch(s->m->loop, &s->in_watch, s->in_fd, EPOLLOUT,
		    input_event) < 0)
		close_input(s);
}

size_t session_stdin(struct session *s, const void *p, size_t len)
{
	size_t done = 0;

	/* Nobody reads it: it is taken and dropped, as a closed pipe would. */
	while (done < len && s->in_fd >= 0) {
		ssize_t n =
			write(s->in_fd, (const uint8_t *)p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch_input(s);
			return done;
		}
		if (n < 0) {
			close_input(s);
			break;
		}
		done += (size_t)n;
	}
	return len;
}

void session_stdin_eof(struct session *s)
{
	if (s->flags & EX_TTY)
		tty_send_eof(s->in_fd);
	else
		close_input(s);
}

void session_winsize(struct session *s, uint32_t rows, uint32_t cols)
{
	if ((s->flags & EX_TTY) && s->in_fd >= 0)
		tty_set_size(s->in_fd, rows, cols);
}

/* ---- start ---- */

static struct session *session_new(struct sessions *m,
	const struct request *req, struct stdfds *io, pid_t pid)
{
	struct session *s =
		m->spare ? TAKE_PTR(m->spare) : xnew(struct session);

	*s = (struct session){.m = m,
		.pid = pid,
		.flags = req->flags,
		.in_fd = TAKE_FD(io->in)};
	for (size_t i = 0; i < req->argv.n; i++)
		(void)strv_add(&s->argv, xstrdup(req->argv.v[i]));
	for (size_t i = 0; i < ARRAY_SIZE(s->out); i++)
		s->out[i] = (struct output){.session = s,
			.fd = TAKE_FD(io->out[i]),
			.type = i ? AF_STDERR : AF_STDOUT};
	if (req->flags & EX_DETACHED)
		s->replay = replay_new();
	do
		s->id = ++m->next_id;
	while (!s->id || find(m, s->id));
	list_add_tail(&m->list, &s->link);
	m->n_running++;
	return s;
}

static void bind_client(struct session *s, struct client *c)
{
	struct buf b;
	int r;

	s->client = c;
	c->session = s;
	buf_init(&b, 64);
	r = tlv_put_u32(&b, AT_ID, s->id);
	r = r ? r : tlv_put_u32(&b, AT_PID, (uint32_t)s->pid);
	r = r ? r
	      : stream_send_frame(
			&c->stream, AF_STARTED, buf_head(&b), buf_len(&b));
	buf_done(&b);
	if (r < 0)
		unbind(s, true);
}

int session_start(struct sessions *m, const struct request *req,
	struct client *c, struct err *err)
{
	_cleanup_(stdfds_done) struct stdfds io = STDFDS_NONE;
	struct launch *launch;
	struct session *s;
	pid_t pid;
	int r;

	if (m->closed)
		return err_set(err, ESHUTDOWN, "the sandbox is shutting down");
	if (m->n_running >= SESSIONS_MAX)
		return err_set(err, EAGAIN,
			"%u commands are running, no more are possible",
			m->n_running);
	r = stdfds_open(req, &io);
	if (r < 0)
		return err_sys(err, -r, "exec: open stdio");
	r = launch_start(m->env, req, &io.child, &launch, &pid);
	if (r < 0)
		return err_sys(err, -r, "exec: fork");
	s = session_new(m, req, &io, pid);
	s->launch = launch;
	bind_client(s, c);
	if (!s->client)
		session_client_gone(s);
	else
		resume_outputs(s);
	return 0;
}

/* ---- clients come and go ---- */

int session_attach(
	struct sessions *m, uint32_t id, struct client *c, struct err *err)
{
	struct session *s = find(m, id);
	const void *p;
	size_t len;

	if (!s || s->hung_up)
		return err_set(err, ENOENT, "no session %u", id);
	unbind(s, false);
	bind_client(s, c);
	s->attached = true;
	if (s->client && s->replay) {
		p = replay_frames(s->replay, &len);
		if (len && stream_send(&c->stream, p, len) < 0)
			unbind(s, true);
	}
	if (!s->client)
		session_client_gone(s);
	else if (paused(s))
		pause_outputs(s);
	check_later(s);
	return 0;
}

void session_detach(struct session *s)
{
	if (!s->replay)
		s->replay = replay_new();
	unbind(s, false);
	resume_outputs(s);
}

void session_client_gone(struct session *s)
{
	if (s->client)
		s->client->session = NULL;
	s->client = NULL;
	if (session_survives(s)) {
		resume_outputs(s);
		check_later(s);
		return;
	}
	s->hung_up = true;
	if (!s->ended) {
		(void)kill_group(s, SIGHUP);
		(void)kill_group(s, SIGCONT);
	}
	close_input(s);
	close_output(&s->out[0]);
	close_output(&s->out[1]);
	check_later(s);
}

int session_signal(struct sessions *m, uint32_t id, int signo, struct err *err)
{
	struct session *s = find(m, id);
	int r;

	if (!s || s->ended)
		return err_set(err, ESRCH, "no running session %u", id);
	r = kill_group(s, signo);
	return r < 0 ? err_sys(err, -r, "signal session %u", id) : 0;
}

static int put_session(const struct session *s, struct buf *b)
{
	size_t text = 0;
	int r = tlv_put_u32(b, AT_ID, s->id);

	r = r ? r : tlv_put_u32(b, AT_PID, (uint32_t)s->pid);
	for (size_t i = 0; r == 0 && i < s->argv.n; i++) {
		text += strlen(s->argv.v[i]) + TLV_HEAD;
		if (text > LIST_TEXT_MAX)
			break;
		r = tlv_put_str(b, AT_ARG, s->argv.v[i]);
	}
	return r || !s->ended ? r : put_status(b, s->wstatus);
}

int sessions_list(struct sessions *m, struct stream *to)
{
	int r = 0;

	list_for_each (it, &m->list) {
		struct session *s = list_entry(it, struct session, link);
		struct buf b;

		buf_init(&b, 2 * LIST_TEXT_MAX);
		r = put_session(s, &b);
		if (r == 0)
			r = stream_send_frame(
				to, AF_SESSION, buf_head(&b), buf_len(&b));
		buf_done(&b);
		if (r < 0)
			break;
	}
	return r;
}

bool sessions_reaped(struct sessions *m, pid_t pid, int wstatus)
{
	list_for_each (it, &m->list) {
		struct session *s = list_entry(it, struct session, link);

		if (s->pid != pid || s->ended)
			continue;
		s->ended = true;
		s->wstatus = wstatus;
		m->n_running--;
		check_later(s);
		return true;
	}
	return false;
}

void sessions_hangup_ttys(struct sessions *m)
{
	list_for_each (it, &m->list) {
		struct session *s = list_entry(it, struct session, link);

		if (!s->ended && (s->flags & EX_TTY))
			(void)kill_group(s, SIGHUP);
	}
}
