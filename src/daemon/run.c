/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/run.h"

#include "daemon/adopt.h"
#include "daemon/bridge.h"
#include "daemon/conn.h"
#include "daemon/docker.h"
#include "daemon/logfile.h"
#include "daemon/sandbox.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define CONNS_MAX 1024u
#define ACCEPT_BATCH 64u
#define SOCKET_NAME "coved.sock"

/* Each exec stream needs two descriptors, each sandbox a handful. */
static size_t raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 128;
	if (rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = MIN(rl.rlim_max, (rlim_t)1 << 20);
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	(void)getrlimit(RLIMIT_NOFILE, &rl);
	return MIN((size_t)rl.rlim_cur / 4, (size_t)CONNS_MAX);
}

static int lock_state(struct daemon *d, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/coved.lock", d->paths.state);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char pid[32] = "";
	ssize_t n;

	if (fd < 0)
		return err_sys(err, errno, "%s", path);
	/* A record lock, not flock(): a child between fork and exec must not
	 * keep it after coved died. */
	if (fcntl(fd, F_SETLK, &lock) < 0) {
		if (errno != EACCES && errno != EAGAIN)
			return err_sys(err, errno, "%s", path);
		n = pread(fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
		return err_set(err, EBUSY,
			"another coved%s%s serves %s; use it, or set COVE_HOME "
			"to another place",
			*pid ? " with pid " : "", pid, d->paths.state);
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return err_sys(err, errno, "%s", path);
	d->lock_fd = TAKE_FD(fd);
	return 0;
}

static void accept_one(struct daemon *d, int fd)
{
	uid_t uid;

	if (sock_peer_uid(fd, &uid) < 0 || uid != geteuid()) {
		log_warn("refused a client of another user");
		d->counter++;
		closep(&fd);
		return;
	}
	conn_accept(d, fd);
}

static void on_listen(struct loop *l, struct watch *w, uint32_t events)
{
	struct daemon *d = container_of(w, struct daemon, listen);
	int fd;

	/* Whatever is logged was caused by somebody who came through here. */
	logfile_check(d->paths.state);
	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			accept_one(d, fd);
			continue;
		}
		/* Out of descriptors: the idlest client makes room. */
		if ((errno == EMFILE || errno == ENFILE) && conn_evict(d))
			continue;
		return;
	}
}

static int listen_api(struct daemon *d, struct err *err)
{
	_cleanup_close_ int dir =
		open(d->paths.run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, r;

	if (dir < 0)
		return err_sys(err, errno, "%s", d->paths.run);
	/* The lock is ours: whoever left this socket is gone. */
	(void)unlinkat(dir, SOCKET_NAME, 0);
	fd = sock_listen_at(dir, SOCKET_NAME, 0600);
	if (fd < 0)
		return err_sys(
			err, -fd, "listen on %s/%s", d->paths.run, SOCKET_NAME);
	r = fd_nonblock(fd, true);
	if (r == 0)
		r = loop_watch(&d->loop, &d->listen, fd, EPOLLIN, on_listen);
	if (r < 0) {
		closep(&fd);
		return err_sys(err, -r, "listen on %s", SOCKET_NAME);
	}
	return 0;
}

static int make_dirs(struct daemon *d, struct err *err)
{
	const char *const dirs[] = {
		d->paths.state, d->paths.run, d->paths.cache};
	_cleanup_free_ char *sub = xasprintf("%s/sandboxes", d->paths.state);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(dirs); i++)
		r = paths_make(dirs[i], err);
	return r < 0 ? r : paths_make(sub, err);
}

int daemon_init(struct daemon *d, struct err *err)
{
	int r = loop_init(&d->loop);

	if (r < 0)
		return err_sys(err, -r, "event loop");
	list_init(&d->sandboxes);
	list_init(&d->jobs);
	list_init(&d->conns);
	list_init(&d->bridges);
	list_init(&d->ask_waiters);
	d->listen.fd = -1;
	d->max_conns = raise_limits();
	if (d->stop_grace_ms == 0)
		d->stop_grace_ms = STOP_GRACE_MS;
	if (d->linger_ms == 0)
		d->linger_ms = LINGER_MS;
	if (d->devices_ms == 0)
		d->devices_ms = DEVICES_MS;
	d->scratch = xcalloc(1, SCRATCH_SIZE);
	r = host_read(&d->host, err);
	if (r == 0)
		r = store_open(d->paths.state, d->host.boot_id, &d->store,
			&d->store_is_new, err);
	if (r == 0)
		r = adopt(d, err);
	return r;
}

int daemon_open(struct daemon *d, struct err *err)
{
	int r = make_dirs(d, err);

	d->lock_fd = -1;
	if (r == 0)
		r = lock_state(d, err);
	if (r == 0)
		docker_clean(d);
	if (r == 0)
		r = daemon_init(d, err);
	return r == 0 ? listen_api(d, err) : r;
}

static void on_signal(struct loop *l, void *arg, int signo)
{
	log_info("stopping on signal %d", signo);
	loop_stop(l, 0);
}

int daemon_serve(struct daemon *d, struct err *err)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	r = loop_signals(&d->loop, &set, on_signal, d);
	if (r < 0)
		return err_sys(err, -r, "signals");
	r = loop_run(&d->loop);
	return r < 0 ? err_sys(err, -r, "event loop") : 0;
}

static void stop_now(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

/* What was deferred is freed in one last round of the loop. */
static void run_frees(struct loop *l)
{
	struct task last = {0};

	loop_defer(l, &last, stop_now);
	(void)loop_run(l);
}

void daemon_close(struct daemon *d)
{
	if (!d->scratch)
		return; /* never got as far as a loop */
	bridge_end_all(&d->bridges);
	loop_unwatch(&d->loop, &d->listen);
	closep(&d->listen.fd);
	job_kill_all(d);
	while (!list_empty(&d->conns))
		conn_close(list_entry(d->conns.next, struct conn, link));
	loop_untimer(&d->loop, &d->sweep);
	while (!list_empty(&d->sandboxes))
		sandbox_free(
			list_entry(d->sandboxes.next, struct sandbox, link));
	run_frees(&d->loop);
	if (d->store)
		store_close(TAKE_PTR(d->store));
	loop_done(&d->loop);
	free(TAKE_PTR(d->scratch));
	closep(&d->lock_fd);
}
