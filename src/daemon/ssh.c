/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ssh.h"

#include "daemon/gate.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/ssh.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define RELAYS_MAX 32u /* connections a sandbox */

struct ssh {
	struct sandbox *sb;
	struct watch listen; /* its fd is owned */
	struct list relays;
	unsigned n_relays;
	struct task free_task;
};

/* Who has the word. */
enum step {
	STEP_ASK,    /* the guest writes */
	STEP_PASS,   /* the request goes to the agent */
	STEP_WAIT,   /* the agent writes, perhaps after it asked the person */
	STEP_ANSWER, /* the answer goes to the guest */
};

/* A connection of the guest. */
struct relay {
	struct list link;
	struct ssh *ssh;
	struct watch guest, agent; /* fds owned; the agent's -1 until needed */
	struct buf msg;            /* of this step, with its length */
	enum step step;
	struct task free_task;
};

static void free_relay(struct loop *l, struct task *t)
{
	struct relay *r = container_of(t, struct relay, free_task);

	buf_done(&r->msg);
	free(r);
}

static void drop(struct relay *r)
{
	struct loop *l = &r->ssh->sb->d->loop;

	loop_unwatch(l, &r->guest);
	loop_unwatch(l, &r->agent);
	closep(&r->guest.fd);
	closep(&r->agent.fd);
	list_del(&r->link);
	r->ssh->n_relays--;
	loop_defer(l, &r->free_task, free_relay);
}

static int dial_agent(const char *path, int *ret)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* As `ssh-keygen -l` has it. */
static void fingerprint(const struct ssh_request *q, char *dst, size_t size)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char text[sodium_base64_ENCODED_LEN(
		sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];

	(void)crypto_hash_sha256(hash, q->key, q->key_len);
	(void)sodium_bin2base64(text, sizeof(text), hash, sizeof(hash),
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	(void)snprintf(dst, size, "SHA256:%s", text);
}

/* True when it was told to the log and may go on. */
static bool allowed(struct relay *r, const struct ssh_request *q)
{
	struct sandbox *sb = r->ssh->sb;
	char key[64] = "keys";

	if (q->kind == SSH_SIGN)
		fingerprint(q, key, sizeof(key));
	if (q->kind != SSH_REFUSED)
		return gate_note(sb, key, true,
			       q->kind == SSH_SIGN ? "signed" : "listed") == 0;
	(void)snprintf(key, sizeof(key), "request %u", q->type);
	(void)gate_note(sb, key, false, "only listing and signing are allowed");
	return false;
}

static void refuse(struct relay *r)
{
	static const uint8_t answer[] = {0, 0, 0, 1, SSH_FAILURE};

	buf_clear(&r->msg);
	(void)buf_put(&r->msg, answer, sizeof(answer));
	r->step = STEP_ANSWER;
}

static void on_agent(struct loop *l, struct watch *w, uint32_t events);

/* A whole request is there: what comes of it. */
static void judge(struct relay *r)
{
	struct sandbox *sb = r->ssh->sb;
	struct ssh_request q = ssh_request_read(
		buf_head(&r->msg) + SSH_HEAD, buf_len(&r->msg) - SSH_HEAD);
	int fd = -1, e = 0;

	if (!allowed(r, &q)) {
		refuse(r);
		return;
	}
	r->step = STEP_PASS;
	if (r->agent.fd >= 0)
		return;
	e = dial_agent(sb->spec.ssh_agent, &fd);
	e = e ? e : loop_watch(&sb->d->loop, &r->agent, fd, EPOLLOUT, on_agent);
	if (e == 0)
		return;
	closep(&fd);
	r->agent.fd = -1;
	log_warn("SSH agent sandbox=%s: %s: %s", sb->row.name,
		sb->spec.ssh_agent, strerror(-e));
	refuse(r);
}

/* 1 when a message is complete, 0 when more must come, -errno at the end. */
static int take(struct buf *msg, int fd)
{
	for (;;) {
		size_t have = buf_len(msg), want = SSH_HEAD - have;
		ssize_t n;

		if (have >= SSH_HEAD) {
			size_t len = ssh_length(buf_head(msg));

			if (len == 0)
				return -EBADMSG;
			want = SSH_HEAD + len - have;
			if (want == 0)
				return 1;
		}
		/* Not more than this message: nothing is left over. */
		n = recv(fd, buf_reserve(msg, want), want, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return -ECONNRESET;
		buf_add(msg, (size_t)n);
	}
}

/* 1 when all is written, 0 when there is no room, -errno. */
static int give(struct buf *msg, int fd)
{
	while (buf_len(msg) > 0) {
		ssize_t n = send(fd, buf_head(msg), buf_len(msg),
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buf_consume(msg, (size_t)n);
	}
	buf_done(msg); /* a connection that waits holds no memory */
	return 1;
}

/* One step as far as it goes: as take() and give(). */
static int advance(struct relay *r)
{
	int e;

	switch (r->step) {
	case STEP_ASK:
		e = take(&r->msg, r->guest.fd);
		if (e == 1)
			judge(r);
		return e;
	case STEP_PASS:
		e = give(&r->msg, r->agent.fd);
		break;
	case STEP_WAIT:
		e = take(&r->msg, r->agent.fd);
		break;
	case STEP_ANSWER:
	default:
		e = give(&r->msg, r->guest.fd);
	}
	if (e == 1)
		r->step = r->step == STEP_ANSWER ? STEP_ASK : r->step + 1;
	return e;
}

static void pump(struct relay *r)
{
	struct loop *l = &r->ssh->sb->d->loop;
	int e;

	/* One message an event, so that no guest keeps the loop. */
	do
		e = advance(r);
	while (e == 1 && r->step != STEP_ASK);
	if (e < 0) {
		drop(r);
		return;
	}
	loop_rewatch(l, &r->guest,
		r->step == STEP_ASK              ? EPOLLIN
			: r->step == STEP_ANSWER ? EPOLLOUT
						 : 0);
	if (r->agent.fd >= 0)
		loop_rewatch(l, &r->agent,
			r->step == STEP_WAIT           ? EPOLLIN
				: r->step == STEP_PASS ? EPOLLOUT
						       : 0);
}

static void on_guest(struct loop *l, struct watch *w, uint32_t events)
{
	struct relay *r = container_of(w, struct relay, guest);

	/* Whoever is gone needs no answer any more. */
	if ((events & (EPOLLHUP | EPOLLERR)) && r->step != STEP_ASK)
		drop(r);
	else
		pump(r);
}

static void on_agent(struct loop *l, struct watch *w, uint32_t events)
{
	struct relay *r = container_of(w, struct relay, agent);

	if ((events & (EPOLLHUP | EPOLLERR)) && r->step != STEP_WAIT)
		drop(r);
	else
		pump(r);
}

static void relay_new(struct ssh *s, int fd)
{
	struct relay *r = xnew(struct relay);

	r->ssh = s;
	r->agent.fd = -1;
	buf_init(&r->msg, SSH_HEAD + SSH_MSG_MAX);
	if (loop_watch(&s->sb->d->loop, &r->guest, fd, EPOLLIN, on_guest) < 0) {
		closep(&fd);
		free(r);
		return;
	}
	list_add_tail(&s->relays, &r->link);
	s->n_relays++;
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct ssh *s = container_of(w, struct ssh, listen);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (s->n_relays < RELAYS_MAX)
		relay_new(s, fd);
	else
		close(fd);
}

int ssh_check(const char *path, struct err *err)
{
	struct sockaddr_un sa;
	struct stat st;

	if (!path || !*path)
		return 0;
	if (*path != '/' || strlen(path) >= sizeof(sa.sun_path))
		return err_set(err, EINVAL,
			"the SSH agent's socket must be an absolute path of "
			"less than %zu bytes",
			sizeof(sa.sun_path));
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "the SSH agent's socket '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EINVAL,
			"'%s' is no socket: start an SSH agent (eval "
			"$(ssh-agent); ssh-add)",
			path);
	return 0;
}

int ssh_change(struct sandbox *sb, const char *path, struct err *err)
{
	int r = ssh_check(path, err);

	if (r < 0)
		return r;
	if (!sb->spec.ssh_agent || !*sb->spec.ssh_agent || !*path)
		return err_set(err, EINVAL,
			"whether '%s' has an SSH agent was decided when it was "
			"made",
			sb->row.name);
	free(sb->spec.ssh_agent);
	sb->spec.ssh_agent = xstrdup(path);
	return sandbox_save_spec(sb, err);
}

int ssh_open(struct sandbox *sb, struct err *err)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	_cleanup_close_ int dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	struct ssh *s;
	char name[32];
	int r;

	ssh_close(sb);
	if (!sb->spec.ssh_agent || !*sb->spec.ssh_agent)
		return 0;
	(void)snprintf(name, sizeof(name), "vsock.sock_%u", PORT_SSH);
	(void)unlinkat(dir, name, 0);
	fd = dir < 0 ? -errno : sock_listen_at(dir, name, 0600);
	r = fd < 0 ? fd : fd_nonblock(fd, true);
	if (r < 0)
		return err_sys(err, -r, "listen on %s/%s", run, name);
	s = xnew(struct ssh);
	s->sb = sb;
	list_init(&s->relays);
	r = loop_watch(&sb->d->loop, &s->listen, fd, EPOLLIN, on_listen);
	if (r < 0) {
		free(s);
		return err_sys(err, -r, "watch %s/%s", run, name);
	}
	(void)TAKE_FD(fd);
	sb->ssh = s;
	return 0;
}

static void free_ssh(struct loop *l, struct task *t)
{
	free(container_of(t, struct ssh, free_task));
}

void ssh_close(struct sandbox *sb)
{
	struct ssh *s = TAKE_PTR(sb->ssh);

	if (!s)
		return;
	while (!list_empty(&s->relays))
		drop(list_entry(s->relays.next, struct relay, link));
	loop_unwatch(&sb->d->loop, &s->listen);
	closep(&s->listen.fd);
	loop_defer(&sb->d->loop, &s->free_task, free_ssh);
}
