/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child that looks after containerd and dockerd. What touches the guest's
 * files happens here, so that nothing of it can stop the agent.
 *
 * The two start at the same time, although dockerd needs containerd: a dockerd
 * that finds no containerd waits whole seconds before it tries again. So its
 * configuration is a fifo. It opens that first of all, when its own start-up is
 * done, and gets the text at the moment when containerd listens and the kernel
 * modules are there. Then a file takes the fifo's name, for SIGHUP.
 */
#include "agent/docker.h"

#include "base/fd.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define OWN_DIR "/run/cove/docker"
#define OWN_BIN OWN_DIR "/bin" /* docker_runc.c */
#define FIFO OWN_DIR "/daemon.json"
#define FIFO_NEXT OWN_DIR "/daemon.json.next"
#define PROGRAM_PATH \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CONTAINERD_CONF OWN_DIR "/containerd.toml"
#define CONTAINERD_DIR "/run/containerd"
#define CONTAINERD_SOCKET "containerd.sock"
#define USER_CONF "/etc/docker/daemon.json"
#define USER_CONF_MAX (48u * 1024u) /* a fifo takes 64 KiB at once */
#define LOG_MAX (4 * MIB)           /* then a log begins anew */
#define DOCKERD_LOG "/var/log/dockerd.log"
#define CONTAINERD_LOG "/var/log/containerd.log"
#define OOM_SCORE "-500"
#define TAIL_MAX 400u

/*
 * The store lies with Docker's on the Docker disk. What dockerd does not use
 * is not started: the Kubernetes interface and the other snapshotters.
 */
static const char containerd_conf[] =
	"version = 2\n"
	"root = \"/var/lib/docker/containerd\"\n"
	"state = \"" CONTAINERD_DIR "\"\n"
	"disabled_plugins = [\"io.containerd.grpc.v1.cri\",\n"
	"  \"io.containerd.snapshotter.v1.aufs\",\n"
	"  \"io.containerd.snapshotter.v1.blockfile\",\n"
	"  \"io.containerd.snapshotter.v1.btrfs\",\n"
	"  \"io.containerd.snapshotter.v1.devmapper\",\n"
	"  \"io.containerd.snapshotter.v1.zfs\",\n"
	"  \"io.containerd.internal.v1.opt\",\n"
	"  \"io.containerd.internal.v1.tracing\",\n"
	"  \"io.containerd.tracing.processor.v1.otlp\",\n"
	"  \"io.containerd.nri.v1.nri\"]\n"
	"[grpc]\n"
	"  address = \"" CONTAINERD_DIR "/" CONTAINERD_SOCKET "\"\n";

struct run {
	const struct docker_run *in;
	char *conf; /* the user's daemon.json, or "{}" */
	bool have_conf;
	int signal_fd, inotify_fd, fifo_fd;
	pid_t containerd, dockerd;
	bool listening; /* containerd */
	bool fed;
	bool stopping;
};

/* ---- arguments ---- */

static void add(struct strv *v, const char *arg)
{
	(void)strv_add(v, xstrdup(arg));
}

static bool mentions(const char *json, const char *key)
{
	_cleanup_free_ char *quoted = xasprintf("\"%s\"", key);

	return strstr(json, quoted);
}

/*
 * Without iptables: the agent's own rule (net_setup.c) already brings every
 * connection to the gate, so there is nothing to masquerade; ports are
 * published by docker-proxy; and the kernel does not forward between bridges
 * (see forward_nothing), which is what keeps networks apart.
 */
void docker_arguments(
	const char *dockerd, const char *daemon_json, struct strv *ret)
{
	static const char *const net[] = {"--iptables=false",
		"--ip6tables=false", "--ip-masq=false", "--ip-forward=false"};

	add(ret, dockerd);
	add(ret, "--host=fd://");
	add(ret, "--config-file=" FIFO);
	add(ret, "--containerd=" CONTAINERD_DIR "/" CONTAINERD_SOCKET);
	if (!mentions(daemon_json, "cgroup-parent"))
		add(ret, "--cgroup-parent=/sandbox/docker");
	if (!mentions(daemon_json, "storage-driver") &&
		!mentions(daemon_json, "containerd-snapshotter"))
		add(ret, "--storage-driver=overlay2");
	if (mentions(daemon_json, "iptables"))
		return; /* then networks are Docker's own, all of it */
	for (size_t i = 0; i < ARRAY_SIZE(net); i++) {
		_cleanup_free_ char *key =
			xstrndup(net[i] + 2, strcspn(net[i] + 2, "="));

		if (!mentions(daemon_json, key))
			add(ret, net[i]);
	}
}

/* ---- preparation ---- */

static int put_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

/* Sysctls: what cannot be set is not worth ending for. */
static void put_value(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)fd_write_all(fd, text, strlen(text));
}

/*
 * "docker info" wants forwarding on. Interfaces that come later, such as
 * bridges, are born without: what a container sends to the outside ends at the
 * agent and needs none, and one network does not reach another.
 */
static void forward_nothing(void)
{
	put_value("/proc/sys/net/ipv4/ip_forward", "1");
	put_value("/proc/sys/net/ipv4/conf/default/forwarding", "0");
}

static int open_fifo(struct run *r)
{
	int n = 0;

	(void)unlink(FIFO);
	(void)unlink(FIFO_NEXT);
	if (!r->have_conf)
		n = put_file(FIFO_NEXT, r->conf);
	else if (symlink(USER_CONF, FIFO_NEXT) < 0)
		n = -errno;
	if (n < 0 || mkfifo(FIFO, 0600) < 0)
		return n ? n : -errno;
	/* Both ends: so that there is a writer whenever dockerd opens it. */
	r->fifo_fd = open(FIFO, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return r->fifo_fd < 0 ? -errno : 0;
}

static int prepare(struct run *r)
{
	sigset_t set;
	int n;

	(void)mkdir(OWN_DIR, 0700);
	(void)mkdir(OWN_BIN, 0700);
	(void)unlink(OWN_BIN "/runc");
	(void)unlink(DOCKER_SEALED);
	if (symlink("/proc/1/exe", OWN_BIN "/runc") < 0)
		return -errno;
	(void)mkdir(CONTAINERD_DIR, 0711);
	(void)unlink(CONTAINERD_DIR "/" CONTAINERD_SOCKET);
	n = (int)fd_slurp_at(AT_FDCWD, USER_CONF, USER_CONF_MAX, &r->conf);
	r->have_conf = n >= 0;
	if (n < 0 && n != -ENOENT)
		return n;
	if (n < 0)
		r->conf = xstrdup("{}\n");
	if (!mentions(r->conf, "iptables"))
		forward_nothing();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (r->signal_fd < 0 || r->inotify_fd < 0 ||
		inotify_add_watch(r->inotify_fd, CONTAINERD_DIR, IN_CREATE) < 0)
		return -errno;
	n = put_file(CONTAINERD_CONF, containerd_conf);
	return n < 0 ? n : open_fifo(r);
}

/* ---- processes ---- */

static int open_log(const char *path)
{
	struct stat st;
	int fd = open(path,
		O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0644);

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > (off_t)LOG_MAX &&
		ftruncate(fd, 0) < 0)
		closep(&fd);
	return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

/* listen_fd becomes number 3, as sd_listen_fds(3) has it. */
static _Noreturn void become(struct strv *argv, const char *log, int listen_fd)
{
	struct strv env = {0};
	char *file;
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = open_log(log);

	put_value("/proc/self/oom_score_adj", OOM_SCORE);
	(void)setsid();
	if (dup2(null, 0) < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 ||
		(listen_fd >= 0 && listen_fd != 3 && dup2(listen_fd, 3) < 0))
		_exit(126);
	if (listen_fd == 3)
		(void)fd_cloexec(3, false);
	(void)syscall(SYS_close_range, listen_fd < 0 ? 3 : 4, ~0u, 0);
	add(&env, "PATH=" OWN_BIN ":" PROGRAM_PATH);
	add(&env, "HOME=/root");
	if (listen_fd >= 0) {
		add(&env, "LISTEN_FDS=1");
		(void)strv_add(&env, xasprintf("LISTEN_PID=%d", (int)getpid()));
	}
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (spawn_lookup(argv->v[0], PROGRAM_PATH, &file) == 0)
		execve(file, argv->v, env.v);
	dprintf(2, "%s: %s\n", argv->v[0], strerror(errno));
	_exit(127);
}

static pid_t launch(struct strv *argv, const char *log, int listen_fd)
{
	pid_t pid = fork();

	if (pid == 0)
		become(argv, log, listen_fd);
	return MAX(pid, 0);
}

static void start_both(struct run *r)
{
	_cleanup_(strv_done) struct strv c = {0};
	_cleanup_(strv_done) struct strv d = {0};

	add(&c, "containerd");
	add(&c, "--config");
	add(&c, CONTAINERD_CONF);
	docker_arguments(r->in->dockerd, r->conf, &d);
	r->containerd = launch(&c, CONTAINERD_LOG, -1);
	r->dockerd = launch(&d, DOCKERD_LOG, r->in->listen_fd);
}

/* ---- when it could not be started ---- */

void docker_refusal(const char *text, char *dst, size_t size)
{
	_cleanup_free_ char *clean = xstrndup(text, TAIL_MAX + 200);

	for (char *p = clean; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '\'';
		else if (*p < ' ' || *p > '~')
			*p = ' ';
	(void)snprintf(dst, size,
		"HTTP/1.1 503 Service Unavailable\r\n"
		"Content-Type: application/json\r\nConnection: close\r\n"
		"Content-Length: %zu\r\n\r\n{\"message\":\"%s\"}\n",
		strlen(clean) + 15, clean);
}

/* The last line of dockerd's log says why. */
static void last_line(char *dst, size_t size)
{
	_cleanup_close_ int fd =
		open(DOCKERD_LOG, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	off_t end_at = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n;
	char *nl;

	*dst = '\0';
	if (end_at <= 0)
		return;
	n = pread(fd, dst, size - 1, MAX(end_at - (off_t)(size - 1), (off_t)0));
	dst[MAX(n, 0)] = '\0';
	if (n > 0 && dst[n - 1] == '\n')
		dst[n - 1] = '\0';
	nl = strrchr(dst, '\n');
	if (nl)
		memmove(dst, nl + 1, strlen(nl));
}

static void refuse_one(int fd, const char *answer)
{
	const struct timeval second = {1, 0};
	char request[4096];

	/* Whoever connects speaks first; not for long if he does not. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	(void)recv(fd, request, sizeof(request), 0);
	(void)send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Otherwise those who wait would start it again, and again in vain. */
static void refuse_all(const struct run *r, const char *why)
{
	_cleanup_free_ char *text = NULL;
	char tail[TAIL_MAX], answer[2048];
	int fd;

	last_line(tail, sizeof(tail));
	text = xasprintf("cove: Docker could not be started in this sandbox "
			 "(%s); its logs are " DOCKERD_LOG
			 " and " CONTAINERD_LOG ": %s",
		why, tail);
	docker_refusal(text, answer, sizeof(answer));
	(void)fd_nonblock(r->in->listen_fd, true);
	while ((fd = accept4(r->in->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		refuse_one(fd, answer);
}

/* ---- the end ---- */

/* In order: dockerd ends its containers with containerd's help. */
static void end(const struct run *r)
{
	if (r->dockerd)
		(void)kill(r->dockerd, SIGTERM);
	else if (r->containerd)
		(void)kill(r->containerd, SIGTERM);
}

/*
 * Those that no dockerd has heard so far are told. Whoever comes later, while
 * containerd is still on its way out, starts both again.
 */
static void dockerd_ended(struct run *r, int status)
{
	r->dockerd = 0;
	end(r);
	if (!r->stopping && status)
		refuse_all(r, "dockerd ended");
}

/* One without the other is of no use. */
static void reap(struct run *r)
{
	int ws;
	pid_t pid;

	while ((pid = waitpid(-1, &ws, WNOHANG)) > 0) {
		if (pid == r->dockerd) {
			dockerd_ended(r, ws);
		} else if (pid == r->containerd) {
			r->containerd = 0;
			end(r);
		}
	}
}

/*
 * runc never runs a container's first process from its own file, which root in
 * there could then write to: it copies itself into a sealed memfd, each time,
 * unless it lies in one already. So there is one, for all of them. Its time is
 * the file's, so that docker_runc() sees when there is another runc.
 */
static int seal_runc(void)
{
	_cleanup_close_ int fd = -1, mem = -1;
	_cleanup_free_ char *file = NULL, *link = NULL;
	struct timespec when[2];
	struct stat st;
	off_t at = 0;

	if (spawn_lookup("runc", SPAWN_PATH, &file) < 0)
		return -ENOENT;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	mem = memfd_create("runc", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || mem < 0 || fstat(fd, &st) < 0)
		return -errno;
	while (at < st.st_size)
		if (sendfile(mem, fd, &at, (size_t)(st.st_size - at)) <= 0)
			return -EIO;
	when[0] = when[1] = st.st_mtim;
	/* Just these four: runc compares them. */
	if (futimens(mem, when) < 0 || fchmod(mem, 0555) < 0 ||
		fcntl(mem, F_ADD_SEALS,
			F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW |
				F_SEAL_WRITE) < 0)
		return -errno;
	link = xasprintf("/proc/%d/fd/%d", (int)getpid(), mem);
	if (symlink(link, DOCKER_SEALED) < 0)
		return -errno;
	TAKE_FD(mem); /* the process holds it to its end */
	return 0;
}

/* ---- events ---- */

static void read_signals(struct run *r)
{
	struct signalfd_siginfo si;

	while (read(r->signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			continue;
		r->stopping = true;
		end(r);
	}
	reap(r);
}

static void read_inotify(struct run *r)
{
	char buf[4096]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(r->inotify_fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const void *)p;

			if (e->len && streq(e->name, CONTAINERD_SOCKET))
				r->listening = true;
			p += sizeof(*e) + e->len;
		}
}

/*
 * A dockerd that has opened the fifo reads from it, one that comes later finds
 * the file: the new name is there before the writer goes.
 */
static void feed(struct run *r)
{
	(void)fd_write_all(r->fifo_fd, r->conf, strlen(r->conf));
	(void)rename(FIFO_NEXT, FIFO);
	closep(&r->fifo_fd);
	r->fed = true;
}

static void serve(struct run *r)
{
	bool modules = r->in->modules_fd < 0;

	if (!r->dockerd || !r->containerd)
		end(r); /* no more processes */
	while (r->dockerd || r->containerd) {
		struct pollfd p[] = {{r->signal_fd, POLLIN, 0},
			{r->fed ? -1 : r->inotify_fd, POLLIN, 0},
			{modules ? -1 : r->in->modules_fd, POLLIN, 0}};

		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (p[0].revents)
			read_signals(r);
		if (p[1].revents)
			read_inotify(r);
		if (p[2].revents)
			modules = true;
		if (!r->fed && r->listening && modules)
			feed(r);
	}
}

_Noreturn void docker_run(const struct docker_run *in)
{
	struct run r = {.in = in, .fifo_fd = -1};
	int n = prepare(&r);

	if (n < 0) {
		refuse_all(&r, strerror(-n));
		_exit(1);
	}
	start_both(&r);
	n = seal_runc();
	if (n < 0)
		log_warn("docker: no copy of runc: %s", strerror(-n));
	serve(&r);
	_exit(0);
}
