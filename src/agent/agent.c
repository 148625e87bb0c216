/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include "agent/boot.h"
#include "agent/etc.h"
#include "agent/modules.h"
#include "agent/mounts.h"
#include "agent/net_setup.h"
#include "agent/system.h"
#include "agent/trust.h"
#include "agent/vsock.h"
#include "base/log.h"
#include "wire/agent.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define KILL_WAIT_MS 2000u
/* The last ones that net_setup.c needs, in the order of image/modules_list.c. */
#define LINK_MODULE "tun"
#define SHARE_MODULE "virtiofs"
#define REDIRECT_MODULE "nft_fib_inet"
#define POWEROFF_WAIT_MS 5000u /* after a signal to PID 1 */
#define DISK_FULL (1 * MIB)    /* free bytes that count as none */
#define DISK_ROOM (16 * MIB)   /* and as room again */

/* ---- the end ---- */

static _Noreturn void finish(struct agent *a)
{
	mounts_undo(&a->config);
	boot_undo();
	system_power_off();
}

static void stop_timer_due(struct loop *l, struct timer *t)
{
	struct agent *a = container_of(t, struct agent, stop_timer);

	/* What survives SIGKILL sits in the kernel; it does not matter. */
	if (a->killed)
		loop_stop(l, 0);
	if (a->docker.child && !a->forced) {
		/* dockerd notes how its containers ended, then it ends too. */
		a->forced = true;
		cgroup_signal(a->cgroup.main_fd, SIGKILL);
		docker_kill_containers(&a->docker);
	} else {
		a->killed = true;
		(void)kill(-1, SIGKILL);
	}
	loop_timer(l, t, KILL_WAIT_MS, stop_timer_due);
}

static bool modules_ended(struct agent *a, pid_t pid)
{
	if (!modules_reaped(pid))
		return false;
	docker_resume(&a->docker);
	return true;
}

static bool docker_ended(struct agent *a, pid_t pid)
{
	if (!docker_reaped(&a->docker, pid))
		return false;
	if (a->stopping)
		docker_kill_rest(&a->docker);
	return true;
}

/*
 * Every process is a descendant of PID 1, so "no children" means that all have
 * ended: the stop is over at the moment the last one is reaped.
 */
static void reap(struct agent *a)
{
	int ws;
	pid_t pid;

	while ((pid = waitpid(-1, &ws, WNOHANG)) > 0)
		if (!revoke_reaped(&a->revoke, pid) && !modules_ended(a, pid) &&
			!docker_ended(a, pid))
			(void)server_reaped(&a->server, pid, ws);
	if (pid < 0 && errno == ECHILD && a->stopping)
		loop_stop(&a->loop, 0);
}

static void on_shutdown(void *arg, uint64_t timeout_ms)
{
	struct agent *a = arg;

	if (a->stopping)
		return;
	a->stopping = true;
	server_close(&a->server);
	if (docker_stop(&a->docker)) {
		/* Containers are dockerd's to end. */
		cgroup_signal(a->cgroup.main_fd, SIGTERM);
		cgroup_signal(a->cgroup.main_fd, SIGCONT);
	} else {
		(void)kill(-1, SIGTERM);
		(void)kill(-1, SIGCONT);
	}
	sessions_hangup_ttys(&a->server.sessions);
	loop_timer(&a->loop, &a->stop_timer, timeout_ms, stop_timer_due);
	reap(a);
}

static void on_signal(struct loop *l, void *arg, int signo)
{
	struct agent *a = arg;

	if (signo == SIGCHLD) {
		reap(a);
		return;
	}
	if (!a->stopping)
		control_event(&a->control, "poweroff",
			"the sandbox was powered off from inside");
	on_shutdown(a, POWEROFF_WAIT_MS);
}

/* ---- config ---- */

static void on_cgroup(void *arg, const char *type, const char *text)
{
	struct agent *a = arg;

	control_event(&a->control, type, text);
}

/* Who owns what is made on the way to a workspace. */
static int ensure_user(
	const struct config *c, struct account *ret, struct err *err)
{
	uint32_t id;

	/* there also when the image's own user is the default */
	if (c->user && !streq(c->user, "agent") &&
		etc_ensure_user("/", "agent", err) < 0)
		return -err->code;
	if (!c->user)
		return account_load("/etc", "0", ret, err);
	if (!strchr(c->user, ':') && !account_id(c->user, &id)) {
		int r = etc_ensure_user("/", c->user, err);

		if (r < 0)
			return r;
	}
	return account_load("/etc", c->user, ret, err);
}

static void stage(const char *name)
{
	log_debug("%s at %llu ms", name, (unsigned long long)now_ms());
}

/* A guest without it works, but for hosts whose TLS the gate opens. */
static void install_trust(const struct config *c)
{
	struct err err = {0};

	if (!c->trust || !c->trust_hash)
		return;
	if (trust_install("/", c->trust, c->trust_hash, &err) < 0)
		log_error("trust: %s", err.text);
}

/*
 * In the child that loads the rest of the modules: nobody waits for half a
 * second without hardware virtualization. Until the redirect is there, what is
 * sent ends in the interface, and TCP tries again. The first question for a
 * name makes the child hurry. Docker waits for its end.
 */
static void finish_boot(void *arg)
{
	const struct agent *a = arg;
	struct err err = {0};

	install_trust(&a->config);
	if (net_redirect(&err) < 0)
		log_error("no network: %s", err.text);
	if (boot_docker(&err) < 0)
		log_error("Docker's disk: %s", err.text);
}

/* A guest kernel without the modules still makes a sandbox. */
static void start_network(struct agent *a)
{
	struct err err = {0};

	if (net_start(&a->net, &a->loop, &err) < 0)
		log_error("no network: %s", err.text);
	a->modules_fd = modules_load_rest(REDIRECT_MODULE, finish_boot, a);
	stage("network");
}

static int apply(struct agent *a, struct err *err)
{
	const struct config *c = &a->config;
	_cleanup_(account_done) struct account who = {0};
	int r;

	stage("config");
	system_set_clock(c->realtime_ns);
	if (c->n_entropy)
		system_add_entropy(c->entropy, c->n_entropy);
	system_set_hostname(c->name);
	system_loopback_up();
	r = etc_identity("/", c->name, c->sandbox, err);
	stage("identity");
	r = r ? r : ensure_user(c, &who, err);
	stage("user");
	if (c->trust)
		trust_environ(&a->config.env, trust_bundle("/"));
	r = r ? r
	      : modules_load_late(
			c->n_mounts ? SHARE_MODULE : LINK_MODULE, err);
	stage("modules");
	r = r ? r : mounts_apply(c, who.uid, who.gid, err);
	stage("mounts");
	r = r ? r
	      : cgroup_setup(
			&a->cgroup, &a->loop, c->pids_max, on_cgroup, a, err);
	stage("cgroup");
	if (r < 0)
		return r;
	/* The host may configure a second time. */
	if (!a->net.loop)
		start_network(a);
	if (c->ssh_agent)
		ssh_init(&a->ssh, &a->loop, &a->net, &who);
	return 0;
}

static int on_config(void *arg, const void *p, size_t len, struct err *err)
{
	struct agent *a = arg;
	int r;

	config_done(&a->config);
	r = config_parse(p, len, &a->config, err);
	r = r ? r : apply(a, err);
	if (r < 0)
		return r;
	a->env.cgroup_fd = a->cgroup.main_fd;
	docker_init(
		&a->docker, &a->loop, &a->env, &a->net, TAKE_FD(a->modules_fd));
	a->server.ready = true;
	return 0;
}

/* ---- requests ---- */

static void on_clock(void *arg, uint64_t realtime_ns)
{
	system_set_clock(realtime_ns);
}

static void check_disk(
	struct agent *a, bool *full, const char *dir, const char *text)
{
	uint64_t left = system_disk_free(dir);

	if (!*full && left < DISK_FULL)
		control_event(&a->control, "quota.disk", text);
	if (left < DISK_FULL)
		*full = true;
	else if (left > DISK_ROOM)
		*full = false;
}

/* The host asks regularly anyway: the moment to look at the disks. */
static void on_ping(void *arg)
{
	struct agent *a = arg;

	check_disk(a, &a->disk_full, "/", "the sandbox's disk is full");
	check_disk(
		a, &a->docker_full, DOCKER_DIR, "the disk for Docker is full");
}

/*
 * The disks are mounted while the host makes up its mind about our HELLO. Only
 * then is the file server heard (it waits in the queue of the port): the child
 * that answers it must be born with the sandbox's root.
 */
static void on_greeted(void *arg)
{
	struct agent *a = arg;
	struct err err = {0};

	if (a->booted)
		return;
	a->booted = true;
	if (boot_root(&err) < 0) {
		log_error("boot: %s", err.text);
		boot_undo();
		system_power_off();
	}
	if (revoke_start(&a->revoke) < 0)
		log_error("cannot serve the file server");
}

static const struct control_ops ops = {
	.greeted = on_greeted,
	.config = on_config,
	.shutdown = on_shutdown,
	.clock = on_clock,
	.ping = on_ping,
};

static void on_resume(void *arg, int fd, struct buf in)
{
	struct agent *a = arg;

	control_resume(&a->control, fd, in);
}

/* ---- start ---- */

static int listen_all(struct agent *a)
{
	int fd = -1;
	int r = vsock_listen(PORT_EXEC, &fd);

	r = r ? r
	      : server_init(&a->server, &a->loop, fd, &a->env, on_resume, a);
	r = r ? r : vsock_listen(PORT_SHARE, &fd);
	if (r == 0)
		revoke_init(&a->revoke, &a->loop, fd, &a->env);
	return r;
}

static int watch_signals(struct agent *a)
{
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	/* busybox poweroff and kin, from inside. */
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGINT);
	return loop_signals(&a->loop, &set, on_signal, a);
}

static void limit(int what, rlim_t soft, rlim_t hard)
{
	struct rlimit r = {soft, hard};

	if (setrlimit(what, &r) < 0)
		log_warn("rlimit %d: %s", what, strerror(errno));
}

/*
 * Every process inherits them. Nothing protects us from the OOM killer here,
 * because it never takes PID 1 (mm/oom_kill.c, oom_unkillable_task).
 */
static void set_limits(void)
{
	limit(RLIMIT_NOFILE, 65536, 1048576);
	limit(RLIMIT_CORE, 0, RLIM_INFINITY);
	limit(RLIMIT_MEMLOCK, 8 * MIB, 8 * MIB);
	limit(RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY);
}

_Noreturn void agent_run(struct agent *a)
{
	int r;

	*a = (struct agent){
		.env = {.config = &a->config,
			.etc_dir = "/etc",
			.cgroup_fd = -1,
			.guest = true},
		.cgroup = {.main_fd = -1},
	};
	set_limits();
	r = loop_init(&a->loop);
	r = r ? r : watch_signals(a);
	control_init(&a->control, &a->loop, &ops, a);
	r = r ? r : listen_all(a);
	if (r < 0) {
		log_error("cannot serve: %s", strerror(-r));
		finish(a);
	}
	control_dial(&a->control);
	r = loop_run(&a->loop);
	if (r < 0)
		log_error("loop: %s", strerror(-r));
	finish(a);
}
