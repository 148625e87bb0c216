/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/docker.h"

#include "agent/boot.h"
#include "agent/cgroup.h"
#include "agent/modules.h"
#include "agent/vsock.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/wire.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define HOSTCONFIG_MAX (256u * 1024u)
#define CONTAINERS_MAX 4096u
/* Beside sandbox/main: a leaf of the daemons, and what containers go below. */
#define CGROUP_DAEMONS "../engine"
#define CGROUP_CONTAINERS "../docker"
#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

bool docker_wants_restart(const char *hostconfig)
{
	static const char key[] = "\"RestartPolicy\":{\"Name\":\"";
	const char *p = strstr(hostconfig, key);

	if (!p)
		return false;
	p += sizeof(key) - 1;
	return *p && *p != '"' && strncmp(p, "no\"", 3) != 0;
}

/* Nothing of the workload runs yet, and no open here can be made to wait. */
static bool read_restart(int dirfd, const char *container)
{
	_cleanup_free_ char *path = xasprintf("%s/hostconfig.json", container);
	_cleanup_close_ int fd = openat(
		dirfd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		st.st_size > (off_t)HOSTCONFIG_MAX)
		return false;
	text = xcalloc((size_t)st.st_size + 1, 1);
	return fd_read_all(fd, text, (size_t)st.st_size) == 0 &&
		docker_wants_restart(text);
}

bool docker_any_restart(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	bool found = false;
	unsigned n = 0;

	if (!dir)
		return false;
	while (!found && n++ < CONTAINERS_MAX && (e = readdir(dir)))
		found = e->d_name[0] != '.' &&
			read_restart(dirfd(dir), e->d_name);
	closedir(dir);
	return found;
}

/* ---- the child ---- */

static int open_cgroup(int commands_fd)
{
	if (mkdirat(commands_fd, CGROUP_DAEMONS, 0755) < 0 && errno != EEXIST)
		return -errno;
	return openat(commands_fd, CGROUP_DAEMONS,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Nothing of the agent's stays open in it but these two. */
static _Noreturn void become_child(const struct docker *d)
{
	struct docker_run run = {d->dockerd, 3, d->modules_fd < 0 ? -1 : 4};
	int listen_fd = fcntl(d->listen.fd, F_DUPFD_CLOEXEC, 5);
	int modules_fd = run.modules_fd < 0
		? -1
		: fcntl(d->modules_fd, F_DUPFD_CLOEXEC, 5);

	if (dup3(listen_fd, 3, O_CLOEXEC) < 0 ||
		(modules_fd >= 0 && dup3(modules_fd, 4, O_CLOEXEC) < 0))
		_exit(1);
	(void)syscall(SYS_close_range, run.modules_fd < 0 ? 4 : 5, ~0u, 0);
	docker_run(&run);
}

static void start(struct docker *d)
{
	struct spawn_env env = d->env;
	pid_t pid;

	env.cgroup_fd = open_cgroup(d->env.cgroup_fd);
	modules_hurry();
	pid = spawn_fork(&env, -1);
	if (pid == 0)
		become_child(d);
	closep(&env.cgroup_fd);
	if (pid < 0) {
		/* Asked again by the next connection's event. */
		log_error("docker: %s", strerror(-pid));
		return;
	}
	log_debug("docker at %llu ms", (unsigned long long)now_ms());
	d->child = pid;
	loop_unwatch(d->loop, &d->listen);
}

static void on_connect(struct loop *l, struct watch *w, uint32_t events)
{
	start(container_of(w, struct docker, listen));
}

static void await(struct docker *d)
{
	if (loop_watch(d->loop, &d->listen, d->listen.fd, EPOLLIN, on_connect) <
		0)
		log_error("docker: cannot watch the socket");
}

bool docker_reaped(struct docker *d, pid_t pid)
{
	if (!d->child || pid != d->child)
		return false;
	d->child = 0;
	if (!d->stopping)
		await(d);
	return true;
}

bool docker_stop(struct docker *d)
{
	d->stopping = true;
	if (!d->child) {
		if (d->listen.active)
			loop_unwatch(d->loop, &d->listen);
		return false;
	}
	(void)kill(d->child, SIGTERM);
	return true;
}

static void kill_cgroup(const struct docker *d, const char *file)
{
	_cleanup_close_ int fd =
		openat(d->env.cgroup_fd, file, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)fd_write_all(fd, "1", 1);
}

void docker_kill_containers(const struct docker *d)
{
	kill_cgroup(d, CGROUP_CONTAINERS "/cgroup.kill");
}

void docker_kill_rest(const struct docker *d)
{
	docker_kill_containers(d);
	kill_cgroup(d, CGROUP_DAEMONS "/cgroup.kill");
}

/* ---- the socket ---- */

/* For the sandbox's user, and for the group docker where there is one. */
static void give_socket(const struct docker *d)
{
	const char *user = d->env.config->user ? d->env.config->user : "0";
	_cleanup_free_ char *spec =
		xasprintf("%.*s:docker", (int)strcspn(user, ":"), user);
	struct account who = {0};
	struct err err = {0};

	if (account_load(d->env.etc_dir, spec, &who, &err) < 0 &&
		account_load(d->env.etc_dir, user, &who, &err) < 0)
		return;
	if (fchownat(d->run_fd, DOCKER_SOCKET, who.uid, who.gid,
		    AT_SYMLINK_NOFOLLOW) < 0)
		log_warn("docker: cannot give the socket away");
	account_done(&who);
}

static int open_socket(struct docker *d)
{
	mode_t mask = umask(0);
	int fd;

	(void)unlinkat(d->run_fd, DOCKER_SOCKET, 0);
	fd = sock_listen_at(AT_FDCWD, "/run/" DOCKER_SOCKET, 0660);
	(void)umask(mask);
	/* Only an image with a /var/run of its own needs the second name. */
	if (fd >= 0 && access("/var/run/" DOCKER_SOCKET, F_OK) < 0 &&
		symlink("/run/" DOCKER_SOCKET, "/var/run/" DOCKER_SOCKET) < 0)
		log_warn("docker: no /var/run/" DOCKER_SOCKET);
	return fd;
}

/* ---- streams of the host ---- */

/* Never waits: a queue that is full refuses. */
static int dial_socket(const struct docker *d, int *ret)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path),
		"/proc/self/fd/%d/" DOCKER_SOCKET, d->run_fd);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static void on_host(struct loop *l, struct watch *w, uint32_t events)
{
	struct docker *d = container_of(w, struct docker, host);
	_cleanup_close_ int host =
		accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int guest;

	/* Without a scratch the network could not be started. */
	if (host < 0 || !d->net->scratch || d->net->n_flows >= NET_FLOWS_MAX ||
		dial_socket(d, &guest) < 0)
		return;
	d->net->n_flows++;
	net_relay(d->net, guest, TAKE_FD(host));
}

static void listen_host(struct docker *d)
{
	int fd = -1;

	if (vsock_listen(PORT_DOCKER, &fd) == 0 &&
		loop_watch(d->loop, &d->host, fd, EPOLLIN, on_host) == 0)
		return;
	closep(&fd);
	log_error("docker: the host cannot reach it");
}

void docker_init(struct docker *d, struct loop *l, const struct spawn_env *env,
	struct net *net, int modules_fd)
{
	if (d->loop) { /* the host configures a second time */
		closep(&modules_fd);
		return;
	}
	*d = (struct docker){.loop = l,
		.env = *env,
		.run_fd = -1,
		.modules_fd = modules_fd,
		.net = net,
		.listen = {.fd = -1},
		.host = {.fd = -1}};
	if (spawn_lookup("dockerd", SEARCH_PATH, &d->dockerd) < 0)
		return;
	d->run_fd = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d->listen.fd = d->run_fd < 0 ? -1 : open_socket(d);
	if (d->listen.fd < 0) {
		log_error("docker: cannot listen on /run/" DOCKER_SOCKET);
		return;
	}
	give_socket(d);
	await(d);
	listen_host(d);
	if (modules_fd < 0)
		docker_resume(d);
}

void docker_resume(struct docker *d)
{
	if (d->listen.active && docker_any_restart(DOCKER_DIR "/containers"))
		start(d);
}
