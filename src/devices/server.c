/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "jail/jail.h"
#include "wire/agent.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>

static size_t given_fds(const struct birth *b, int *fds)
{
	const int all[] = {b->fs_sock, b->vsock_sock, b->vsock_listen,
		b->run_dir, b->console, b->console_log};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			fds[n++] = all[i];
	for (size_t i = 0; i < b->n_exports; i++)
		fds[n++] = b->exports[i].fd;
	return n;
}

/* Names inside the jail are ours; what the guest sees is fs_export()'s. */
static void visible_files(const struct birth *b, char names[BIRTH_EXPORTS][8],
	struct jail_files *f)
{
	for (size_t i = 0; i < b->n_exports; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "x%zu", i);
		f->entry[f->n++] = (struct jail_entry){&b->exports[i].fd,
			names[i], b->exports[i].flags & AMF_RO};
	}
	if (b->run_dir >= 0)
		f->entry[f->n++] =
			(struct jail_entry){&b->run_dir, "run", true};
}

int server_jail(struct server *s, int birth_fd, struct err *err)
{
	int keep[FD_PASS_MAX + 1];
	char names[BIRTH_EXPORTS][8];
	struct jail_files files = {.n = 0};
	size_t n = given_fds(&s->birth, keep);
	int r;

	keep[n++] = birth_fd;
	r = jail_fds(keep, n, err);
	if (r < 0)
		return r;
	visible_files(&s->birth, names, &files);
	return jail_enter(
		&files, geteuid() == 0 ? jail_file_capabilities : 0, err);
}

static void one_gone(struct server *s)
{
	if (--s->front_ends == 0)
		loop_stop(&s->loop, 0);
}

static void fs_gone(struct vhu *v)
{
	one_gone(container_of(v, struct server, vhu_fs));
}

static void vsock_gone(struct vhu *v)
{
	one_gone(container_of(v, struct server, vhu_vsock));
}

static int build_share(struct server *s, struct err *err)
{
	struct birth *b = &s->birth;
	const struct share_config c = {
		.guest_uid = b->guest_uid,
		.guest_gid = b->guest_gid,
		.n_cpus = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L),
		.exports = b->exports,
		.n_exports = b->n_exports,
	};
	int r;

	s->share.loop = &s->loop;
	r = share_directories(&s->share, &c, err);
	return r ? r
		 : share_streams(&s->share, b->vsock_listen, b->run_dir, err);
}

static int attach(struct server *s, struct vhu *v, int *sock, struct vdev *d,
	void (*on_gone)(struct vhu *v), struct err *err)
{
	int r;

	if (*sock < 0)
		return 0;
	r = vhu_init(v, &s->loop, TAKE_FD(*sock), d, on_gone);
	if (r < 0)
		return err_sys(err, -r, "front end of %s", d->ops->name);
	s->front_ends++;
	return 0;
}

static void on_signal(struct loop *l, void *arg, int signo)
{
	loop_stop(l, 0);
}

static int build_loop(struct server *s, struct err *err)
{
	sigset_t set;
	int r = loop_init(&s->loop);

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)signal(SIGPIPE, SIG_IGN);
	s->has_loop = r == 0;
	r = r ? r : loop_signals(&s->loop, &set, on_signal, s);
	return r < 0 ? err_sys(err, -r, "event loop") : 0;
}

static int build_console(struct server *s, struct err *err)
{
	struct birth *b = &s->birth;
	int r;

	if (b->console < 0 || b->console_log < 0)
		return 0;
	r = console_init(&s->console, &s->loop, TAKE_FD(b->console),
		TAKE_FD(b->console_log), CONSOLE_LOG_MAX);
	return r < 0 ? err_sys(err, -r, "console log") : 0;
}

int server_build(struct server *s, struct err *err)
{
	int r = build_loop(s, err);

	r = r ? r : build_share(s, err);
	r = r ? r : build_console(s, err);
	r = r ? r
	      : attach(s, &s->vhu_fs, &s->birth.fs_sock,
			fs_dev_vdev(s->share.fs_dev), fs_gone, err);
	r = r ? r
	      : attach(s, &s->vhu_vsock, &s->birth.vsock_sock,
			vsock_dev(s->share.vsock), vsock_gone, err);
	if (r == 0 && !s->front_ends)
		r = err_set(err, EINVAL, "no front end was given");
	return r;
}

int server_run(struct server *s)
{
	return loop_run(&s->loop);
}

/* Front ends first: they stop the queues that the devices work on. */
void server_done(struct server *s)
{
	if (s->vhu_fs.dev)
		vhu_done(&s->vhu_fs);
	if (s->vhu_vsock.dev)
		vhu_done(&s->vhu_vsock);
	if (s->console.loop)
		console_done(&s->console);
	share_done(&s->share);
	birth_done(&s->birth);
	if (s->has_loop)
		loop_done(&s->loop);
}
