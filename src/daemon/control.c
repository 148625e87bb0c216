/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/control.h"

#include "daemon/authority.h"
#include "daemon/dial.h"
#include "daemon/secrets.h"

#include "base/buf.h"
#include "base/log.h"
#include "wire/agent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define OUT_MAX (256u * 1024u)
#define READ_SIZE (16u * 1024u)
#define FRAMES_PER_EVENT 32u
#define REDIAL_MS 10000u

struct control {
	struct sandbox *sb;
	struct watch w; /* fd -1 while there is only the dial */
	struct buf in;
	struct buf out;
	bool hello; /* CONFIG was sent, or the stream was resumed */
	bool ready;
	struct dial dial;
	struct timer ping;
	uint32_t ping_id;
	uint64_t ping_sent_ms; /* 0: nothing is outstanding */
	struct task free_task;
};

static void on_stream(struct loop *l, struct watch *w, uint32_t events);
static void on_ping(struct loop *l, struct timer *t);

static void free_later(struct loop *l, struct task *t)
{
	struct control *c = container_of(t, struct control, free_task);

	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

void control_close(struct sandbox *sb)
{
	struct control *c = TAKE_PTR(sb->ctl);
	struct loop *l = &sb->d->loop;

	if (!c)
		return;
	dial_cancel(&c->dial);
	loop_untimer(l, &c->ping);
	loop_unwatch(l, &c->w);
	closep(&c->w.fd);
	c->sb = NULL;
	loop_defer(l, &c->free_task, free_later);
}

static struct control *control_new(struct sandbox *sb)
{
	struct control *c = xnew(struct control);

	c->sb = sb;
	c->w.fd = -1;
	buf_init(&c->in, FRAME_HEAD + FRAME_MAX);
	buf_init(&c->out, OUT_MAX);
	sb->ctl = c;
	return c;
}

static int flush(struct control *c)
{
	ssize_t n;

	while (buf_len(&c->out) > 0) {
		n = send(c->w.fd, buf_head(&c->out), buf_len(&c->out),
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			buf_consume(&c->out, (size_t)n);
	}
	loop_rewatch(&c->sb->d->loop, &c->w,
		EPOLLIN | (buf_len(&c->out) > 0 ? EPOLLOUT : 0u));
	return 0;
}

/* -ENOBUFS: a guest that reads nothing gets nothing more. */
static int send_frame(struct control *c, uint8_t type, const struct buf *body)
{
	int r = frame_put(&c->out, type, body ? buf_head(body) : NULL,
		body ? buf_len(body) : 0);

	return r < 0 ? r : flush(c);
}

static void put_mounts(struct buf *b, const struct spec *s, uint32_t *flags)
{
	char name[24];
	size_t mark;

	for (size_t i = 0; i < s->n_workspaces; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		mark = tlv_begin(b, AT_MOUNT);
		if (mark == (size_t)-1)
			return;
		(void)tlv_put_str(b, AM_EXPORT, name);
		(void)tlv_put_str(b, AM_TARGET, s->workspaces[i].guest);
		(void)tlv_put_u32(b, AM_FLAGS, flags[i]);
		tlv_end(b, mark);
	}
}

static int put_env(struct buf *b, json_t *env)
{
	const char *key, *text;
	json_t *v;
	int r;

	json_object_foreach (env, key, v) {
		_cleanup_free_ char *pair = NULL;

		text = json_string_value(v);
		if (!text || strchr(key, '='))
			continue; /* the template's own, not checked before */
		pair = xasprintf("%s=%s", key, text);
		r = tlv_put_str(b, AT_ENV, pair);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Images may lack a list of users; root is 0 all the same. */
static const char *user_of(const struct template *t)
{
	if (!t || !t->user)
		return "agent";
	return streq(t->user, "root") ? "0" : t->user;
}

/* Later ones win: the placeholders of secrets, then what the user said. */
static int put_environment(
	struct sandbox *sb, const struct template *t, struct buf *b)
{
	_cleanup_json_ json_t *secrets = secrets_env(sb->d, sb);
	int r = put_env(b, t ? t->env : NULL);

	r = r ? r : put_env(b, secrets);
	if (r == 0 && sb->ssh)
		r = tlv_put_str(b, AT_ENV, "SSH_AUTH_SOCK=" SSH_AGENT_SOCKET);
	if (r == 0 && sb->ssh)
		r = tlv_put_u32(b, AT_SSH_AGENT, 1);
	return r ? r : put_env(b, sb->spec.env);
}

/* So that the guest's tools take what its gate opens. */
static int put_trust(struct sandbox *sb, struct buf *b)
{
	_cleanup_free_ char *cert = NULL;
	char hash[CA_HASH_LEN];
	struct err err = {0};
	int r = authority_cert(sb->d, &cert, &err);

	if (r < 0 || ca_hash(cert, hash) < 0) {
		log_error(
			"no authority sandbox=%s: %s", sb->row.name, err.text);
		return 0;
	}
	r = tlv_put_str(b, AT_TRUST, cert);
	return r ? r : tlv_put_str(b, AT_TRUST_HASH, hash);
}

/* What the guest needs to become this sandbox. */
static int put_config(struct sandbox *sb, struct buf *b)
{
	_cleanup_free_ char *workdir = sandbox_workdir(sb);
	const struct template *t = sandbox_template(sb);
	uint32_t flags[BIRTH_EXPORTS] = {0};
	uint8_t entropy[64];
	int r;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return -EIO;
	for (size_t i = 0; i < sb->spec.n_workspaces; i++) {
		_cleanup_close_ int fd = -1;

		r = workspace_open(
			&sb->spec.workspaces[i], &fd, &flags[i], NULL);
		if (r < 0)
			return r;
	}
	r = tlv_put_u32(b, AT_VERSION, WIRE_VERSION);
	if (r == 0)
		r = tlv_put_str(b, AT_NAME, sb->row.name);
	if (r == 0)
		r = tlv_put_str(b, AT_SANDBOX, sb->row.id);
	if (r == 0)
		r = tlv_put(b, AT_ENTROPY, entropy, sizeof(entropy));
	if (r == 0)
		r = tlv_put_u64(b, AT_REALTIME_NS, now_real_ns());
	if (r == 0)
		r = tlv_put_u32(b, AT_PIDS_MAX, sb->spec.pids);
	if (r == 0)
		r = tlv_put_str(b, AT_WORKDIR, workdir);
	if (r == 0)
		r = tlv_put_str(b, AT_AGENT_USER, user_of(t));
	if (r == 0)
		r = put_environment(sb, t, b);
	if (r == 0)
		r = put_trust(sb, b);
	put_mounts(b, &sb->spec, flags);
	return r;
}

static int send_config(struct control *c)
{
	struct buf b;
	int r;

	buf_init(&b, FRAME_MAX);
	r = put_config(c->sb, &b);
	if (r == 0)
		r = send_frame(c, AF_CONFIG, &b);
	buf_done(&b);
	return r;
}

/* A guest's text for logs and answers: one line, printable ASCII. */
static void take_text(const struct tlv *t, char *dst, size_t size)
{
	size_t n = MIN((size_t)t->len, size - 1);

	for (size_t i = 0; i < n; i++)
		dst[i] =
			t->p[i] >= 0x20 && t->p[i] < 0x7f ? (char)t->p[i] : '?';
	dst[n] = '\0';
}

/* What the small frames carry; each field once, the last one counts. */
struct said {
	uint32_t version;
	uint32_t id;
	char text[200];
	char kernel[100];
	char event[33];
};

static int parse_body(const struct frame *f, struct said *s)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) == 1) {
		if (t.tag == AT_VERSION)
			r = tlv_u32(&t, &s->version);
		else if (t.tag == AT_ID)
			r = tlv_u32(&t, &s->id);
		else if (t.tag == AT_TEXT)
			take_text(&t, s->text, sizeof(s->text));
		else if (t.tag == AT_KERNEL)
			take_text(&t, s->kernel, sizeof(s->kernel));
		else if (t.tag == AT_EVENT)
			take_text(&t, s->event, sizeof(s->event));
		if (r < 0)
			return r;
	}
	return r;
}

static int on_hello(struct control *c, const struct said *s)
{
	struct sandbox *sb = c->sb;
	struct err err = {0};

	if (c->hello || sb->state != SB_STARTING)
		return -EPROTO;
	if (s->version != WIRE_VERSION) {
		(void)err_set(&err, EPROTO,
			"the guest speaks protocol %u, this coved %u: build "
			"the kernel image again",
			s->version, WIRE_VERSION);
		sandbox_fail(sb, &err);
		return -EPROTO;
	}
	free(sb->row.kernel);
	sb->row.kernel = xstrdup(s->kernel);
	c->hello = true;
	sandbox_progress(sb, "guest", "configuring the guest");
	return send_config(c);
}

static int on_ready(struct control *c)
{
	if (!c->hello || c->ready || c->sb->state != SB_STARTING)
		return -EPROTO;
	c->ready = true;
	loop_timer(&c->sb->d->loop, &c->ping, PING_MS, on_ping);
	sandbox_ready(c->sb);
	return 0;
}

static int on_guest_failed(struct control *c, const struct said *s)
{
	struct err err = {0};

	if (c->sb->state != SB_STARTING)
		return 0;
	(void)err_set(&err, EIO, "the guest could not be set up: %s",
		s->text[0] ? s->text : "no reason given");
	sandbox_fail(c->sb, &err);
	return 0;
}

static int on_pong(struct control *c, const struct said *s)
{
	if (c->ping_sent_ms == 0 || s->id != c->ping_id)
		return 0; /* late or made up */
	c->ping_sent_ms = 0;
	loop_timer(&c->sb->d->loop, &c->ping, PING_MS, on_ping);
	if (c->sb->state == SB_UNRESPONSIVE) {
		sandbox_event(c->sb, "responsive", "the guest answers again");
		(void)sandbox_set_state(c->sb, SB_RUNNING, "", NULL);
	}
	return 0;
}

static bool event_name_ok(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && *s != '.')
			return false;
	return true;
}

static int on_event(struct control *c, const struct said *s)
{
	if (!event_name_ok(s->event))
		return -EPROTO;
	/* Says why the engine ends next; anything else is only recorded. */
	if (streq(s->event, "poweroff"))
		c->sb->powered_off = true;
	sandbox_guest_event(c->sb, s->event, s->text);
	return 0;
}

int control_frame(struct sandbox *sb, const struct frame *f)
{
	struct control *c = sb->ctl;
	struct said s = {0};

	if (!c)
		return 0;
	if (parse_body(f, &s) < 0)
		return -EPROTO;
	switch (f->type) {
	case AF_HELLO:
		return on_hello(c, &s);
	case AF_READY:
		return on_ready(c);
	case AF_FAILED:
		return on_guest_failed(c, &s);
	case AF_PONG:
		return on_pong(c, &s);
	case AF_EVENT:
		return on_event(c, &s);
	default:
		sb->d->counter++; /* a newer agent may say more */
		return 0;
	}
}

static void on_lost(struct control *c)
{
	struct sandbox *sb = c->sb;

	log_debug("control stream closed sandbox=%s", sb->row.name);
	control_close(sb);
	/* The engine may be ending: its pidfd tells. If not, dial again. */
	if (sb->state == SB_RUNNING || sb->state == SB_UNRESPONSIVE)
		control_resume(sb);
}

/* Frames in hand; a budget so that one guest cannot keep the loop. */
static int take_frames(struct control *c)
{
	struct sandbox *sb = c->sb;
	struct frame f;
	int r = 0;

	for (unsigned i = 0; i < FRAMES_PER_EVENT; i++) {
		r = frame_peek(&c->in, &f);
		if (r <= 0)
			return r;
		r = control_frame(sb, &f);
		if (sb->ctl != c)
			return 0; /* closed meanwhile */
		if (r < 0)
			return r;
		buf_consume(&c->in, FRAME_HEAD + f.len);
	}
	return 0;
}

static void on_stream(struct loop *l, struct watch *w, uint32_t events)
{
	struct control *c = container_of(w, struct control, w);
	struct sandbox *sb = c->sb;
	ssize_t n = 0;
	int r;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		/* Frames left over from the budget come first. */
		n = buf_read_fd(&c->in, w->fd,
			MIN((size_t)READ_SIZE, c->in.max - buf_len(&c->in)));
		if (n == 0 ||
			(n < 0 && n != -EAGAIN && n != -EINTR &&
				n != -ENOBUFS)) {
			(void)take_frames(c);
			if (sb->ctl == c)
				on_lost(c);
			return;
		}
		r = take_frames(c);
		if (sb->ctl != c)
			return;
		if (r < 0) {
			log_warn("bad frame from the guest sandbox=%s",
				sb->row.name);
			on_lost(c);
			return;
		}
	}
	if (flush(c) < 0)
		on_lost(c);
}

static void send_ping(struct control *c)
{
	struct buf b;

	buf_init(&b, 64);
	c->ping_id++;
	c->ping_sent_ms = now_ms();
	(void)tlv_put_u32(&b, AT_ID, c->ping_id);
	/* Cannot fail but by a full buffer: then the silence will tell. */
	(void)send_frame(c, AF_PING, &b);
	buf_done(&b);
}

static void went_silent(struct control *c)
{
	struct sandbox *sb = c->sb;

	if (sb->state != SB_RUNNING)
		return;
	sandbox_event(sb, "unresponsive", "the guest stopped answering");
	(void)sandbox_set_state(
		sb, SB_UNRESPONSIVE, "the guest does not answer", NULL);
}

/*
 * Asks PING_MS after the last answer and waits PONG_MS: together less than the
 * 5 s within which a listing must be true. An unanswered ping stays in the
 * stream; a guest that comes back answers it.
 */
static void on_ping(struct loop *l, struct timer *t)
{
	struct control *c = container_of(t, struct control, ping);
	struct sandbox *sb = c->sb;

	if (c->ping_sent_ms == 0) {
		send_ping(c);
		loop_timer(l, &c->ping, PONG_MS, on_ping);
		return;
	}
	went_silent(c);
	if (c->w.fd < 0) { /* the dial failed */
		control_close(sb);
		control_resume(sb);
	}
}

static int watch_stream(struct control *c, int fd)
{
	int r = fd_nonblock(fd, true);

	if (r == 0)
		r = loop_watch(&c->sb->d->loop, &c->w, fd, EPOLLIN, on_stream);
	return r;
}

void control_accept(struct sandbox *sb, int fd)
{
	struct control *c;

	/* Any process of the guest can dial: only the first one is init. */
	if (sb->ctl || sb->state != SB_STARTING) {
		sb->d->counter++;
		closep(&fd);
		return;
	}
	c = control_new(sb);
	if (watch_stream(c, fd) < 0) {
		closep(&fd);
		control_close(sb);
	}
}

static void on_dialed(struct dial *dl, int fd)
{
	struct control *c = container_of(dl, struct control, dial);

	if (fd < 0)
		return; /* the ping timer tries again */
	if (watch_stream(c, fd) < 0) {
		closep(&fd);
		return;
	}
	c->hello = c->ready = true;
	if (send_frame(c, AF_CTL_RESUME, NULL) < 0) {
		on_lost(c);
		return;
	}
	send_ping(c);
}

void control_resume(struct sandbox *sb)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	struct loop *l = &sb->d->loop;
	struct control *c;

	if (sb->ctl)
		return;
	c = control_new(sb);
	(void)dial_start(&c->dial, l, run, PORT_EXEC, REDIAL_MS, on_dialed);
	/* Being without a stream counts as silence. */
	c->ping_sent_ms = now_ms();
	loop_timer(l, &c->ping, PONG_MS, on_ping);
}

bool control_said_hello(const struct sandbox *sb)
{
	return sb->ctl && sb->ctl->hello;
}

bool control_shutdown(struct sandbox *sb, uint64_t timeout_ms)
{
	struct control *c = sb->ctl;
	struct buf b;
	int r;

	if (!c || c->w.fd < 0 || !c->hello)
		return false;
	buf_init(&b, 64);
	r = tlv_put_u64(&b, AT_TIMEOUT_MS, timeout_ms);
	if (r == 0)
		r = send_frame(c, AF_SHUTDOWN, &b);
	buf_done(&b);
	loop_untimer(&sb->d->loop, &c->ping);
	return r == 0;
}
