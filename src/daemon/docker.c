/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/docker.h"

#include "daemon/bridge.h"
#include "daemon/dial.h"

#include "base/fd.h"
#include "base/log.h"
#include "http/http.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define DIAL_MS 10000u
#define REFUSE_MS 5000u  /* for the request that is refused */
#define WAITING_MAX 256u /* connections without a stream, a sandbox */
#define ACCEPT_BATCH 16u

struct docker {
	struct sandbox *sb;
	struct watch listen;
	struct list waiting; /* struct caller.link */
	unsigned n_waiting;
	struct task free_task;
};

/* A connection until it has its stream, or its refusal. */
struct caller {
	struct list link;
	struct docker *dk;
	struct watch w; /* its fd is owned */
	struct dial dial;
	struct timer late;
	struct task free_task;
	char why[300];
};

static char *docker_dir(const struct daemon *d)
{
	return xasprintf("%s/docker", d->paths.run);
}

char *docker_path(const struct sandbox *sb)
{
	return xasprintf("%s/docker/%s.sock", sb->d->paths.run, sb->row.name);
}

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct caller, free_task));
}

static void drop(struct caller *c)
{
	struct loop *l = &c->dk->sb->d->loop;

	dial_cancel(&c->dial);
	loop_untimer(l, &c->late);
	loop_unwatch(l, &c->w);
	closep(&c->w.fd);
	list_del(&c->link);
	c->dk->n_waiting--;
	loop_defer(l, &c->free_task, free_later);
}

static void on_late(struct loop *l, struct timer *t)
{
	drop(container_of(t, struct caller, late));
}

static void answer(struct caller *c)
{
	_cleanup_json_ json_t *j =
		json_pack("{s:o}", "message", json_text(c->why));
	_cleanup_free_ char *text = json_dumps(j, JSON_COMPACT);
	_cleanup_(buf_done) struct buf b;

	buf_init(&b, 4096);
	(void)http_put_status(&b, 503);
	(void)http_put_field(&b, "Content-Type", "application/json");
	(void)http_put_field(&b, "Connection", "close");
	(void)http_put_length(&b, strlen(text));
	(void)http_put_end(&b);
	(void)buf_put(&b, text, strlen(text));
	(void)send(c->w.fd, buf_head(&b), buf_len(&b),
		MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The answer comes after the question, or the client might not read it. */
static void on_question(struct loop *l, struct watch *w, uint32_t events)
{
	struct caller *c = container_of(w, struct caller, w);
	struct daemon *d = c->dk->sb->d;

	if (recv(w->fd, d->scratch, SCRATCH_SIZE, MSG_DONTWAIT) > 0)
		answer(c);
	drop(c);
}

static void refuse(struct caller *c)
{
	struct loop *l = &c->dk->sb->d->loop;

	if (loop_watch(l, &c->w, c->w.fd, EPOLLIN, on_question) < 0)
		drop(c);
	else
		loop_timer(l, &c->late, REFUSE_MS, on_late);
}

static void on_dialed(struct dial *dl, int fd)
{
	struct caller *c = container_of(dl, struct caller, dial);
	struct daemon *d = c->dk->sb->d;

	if (fd >= 0) {
		(void)bridge_start(&d->loop, &d->bridges, TAKE_FD(c->w.fd), fd,
			NULL, NULL, d->scratch, SCRATCH_SIZE, NULL, NULL);
		drop(c);
		return;
	}
	(void)snprintf(c->why, sizeof(c->why),
		fd == -ECONNREFUSED
			? "cove: sandbox '%s' has no Docker daemon; templates "
			  "that have one, such as shell, have the program "
			  "dockerd"
			: "cove: the agent of sandbox '%s' does not answer",
		c->dk->sb->row.name);
	refuse(c);
}

static void take(struct docker *dk, int fd)
{
	struct sandbox *sb = dk->sb;
	struct caller *c = xnew(struct caller);
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	int r = -EHOSTDOWN;

	c->dk = dk;
	c->w.fd = fd;
	c->dial.loop = &sb->d->loop;
	list_add_tail(&dk->waiting, &c->link);
	dk->n_waiting++;
	if (sb->state == SB_RUNNING || sb->state == SB_PAUSED)
		r = dial_start(&c->dial, &sb->d->loop, run, PORT_DOCKER,
			DIAL_MS, on_dialed);
	if (r == 0)
		return;
	(void)snprintf(c->why, sizeof(c->why),
		"cove: sandbox '%s' is %s; start it with: cove start %s",
		sb->row.name, state_name(sb->state), sb->row.name);
	refuse(c);
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct docker *dk = container_of(w, struct docker, listen);

	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(
			w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		uid_t uid;

		if (fd < 0)
			return;
		if (dk->n_waiting < WAITING_MAX &&
			sock_peer_uid(fd, &uid) == 0 && uid == geteuid()) {
			take(dk, fd);
			continue;
		}
		dk->sb->d->counter++;
		close(fd);
	}
}

static int listen_at(struct docker *dk)
{
	struct daemon *d = dk->sb->d;
	_cleanup_free_ char *path = docker_dir(d);
	_cleanup_free_ char *name = xasprintf("%s.sock", dk->sb->row.name);
	_cleanup_close_ int dir = -1;
	int fd, r = paths_make(path, NULL);

	if (r < 0)
		return r;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	(void)unlinkat(dir, name, 0);
	fd = sock_listen_at(dir, name, 0600);
	if (fd < 0)
		return fd;
	r = fd_nonblock(fd, true);
	r = r ? r : loop_watch(&d->loop, &dk->listen, fd, EPOLLIN, on_listen);
	if (r < 0)
		closep(&fd);
	return r;
}

void docker_open(struct sandbox *sb)
{
	struct docker *dk = xnew(struct docker);
	int r;

	dk->sb = sb;
	dk->listen.fd = -1;
	list_init(&dk->waiting);
	sb->docker = dk;
	r = listen_at(dk);
	if (r < 0)
		log_warn("no docker socket sandbox=%s: %s", sb->row.name,
			strerror(-r));
}

static void free_docker(struct loop *l, struct task *t)
{
	free(container_of(t, struct docker, free_task));
}

void docker_close(struct sandbox *sb)
{
	struct docker *dk = TAKE_PTR(sb->docker);
	_cleanup_free_ char *path = docker_path(sb);
	_cleanup_free_ char *dir = docker_dir(sb->d);

	if (!dk)
		return;
	while (!list_empty(&dk->waiting))
		drop(list_entry(dk->waiting.next, struct caller, link));
	if (dk->listen.fd >= 0) {
		loop_unwatch(&sb->d->loop, &dk->listen);
		closep(&dk->listen.fd);
		(void)unlink(path);
		(void)rmdir(dir); /* with the last one */
	}
	loop_defer(&sb->d->loop, &dk->free_task, free_docker);
}

void docker_clean(struct daemon *d)
{
	_cleanup_free_ char *dir = docker_dir(d);

	(void)remove_tree(dir, NULL);
}
