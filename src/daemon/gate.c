/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gate.h"

#include "daemon/ask.h"
#include "daemon/policies.h"
#include "daemon/ports.h"
#include "daemon/secrets.h"
#include "daemon/spawn.h"

#include "base/buf.h"
#include "base/log.h"
#include "wire/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define ROLE "gate"
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"
#define AGAIN_MS 500u /* when it died young */
#define YOUNG_MS 2000u

struct gate {
	struct sandbox *sb;
	struct proc_id id;
	struct watch ended; /* fd: pidfd, -1 */
	struct watch ctl;   /* fd -1 */
	struct timer again;
	uint64_t began_ms;
	struct task free_task;
};

static void on_ended(struct loop *l, struct watch *w, uint32_t events);
static void on_ctl(struct loop *l, struct watch *w, uint32_t events);

static void free_later(struct loop *l, struct task *t)
{
	free(container_of(t, struct gate, free_task));
}

static void close_watch(struct loop *l, struct watch *w)
{
	loop_unwatch(l, w);
	closep(&w->fd);
}

void gate_free(struct sandbox *sb)
{
	struct gate *g = TAKE_PTR(sb->gate);
	struct loop *l = &sb->d->loop;

	if (!g)
		return;
	loop_untimer(l, &g->again);
	close_watch(l, &g->ctl);
	close_watch(l, &g->ended);
	loop_defer(l, &g->free_task, free_later);
}

static void reap(struct gate *g)
{
	siginfo_t si;

	(void)waitid(P_PIDFD, (id_t)g->ended.fd, &si, WEXITED | WNOHANG);
}

void gate_stop(struct sandbox *sb)
{
	siginfo_t si;

	ports_close(sb);
	ask_free(sb);
	if (!sb->gate)
		return;
	if (sb->gate->ended.fd >= 0) {
		(void)proc_signal(sb->gate->ended.fd, SIGKILL);
		/* Dies at once; an adopted one is not ours to reap. */
		(void)waitid(P_PIDFD, (id_t)sb->gate->ended.fd, &si, WEXITED);
	}
	gate_free(sb);
}

/* ---- birth ---- */

enum own_fd {
	OWN_EGRESS,
	OWN_DNS,
	OWN_CONTROL,
	OWN_DIR,
	OWN_POLICY,
	OWN_RUN,
	OWN_KEYS, /* the last ones may be missing */
	OWN_ROOTS,
	OWN_ROOTS_MORE,
	OWN_N
};

struct own {
	int fd[OWN_N];
};

static void own_done(struct own *o)
{
	for (size_t i = 0; i < OWN_N; i++)
		closep(&o->fd[i]);
}

static int listen_vsock(int run, uint32_t port, int *ret)
{
	char name[32];
	int fd;

	(void)snprintf(name, sizeof(name), "vsock.sock_%u", port);
	(void)unlinkat(run, name, 0);
	fd = sock_listen_at(run, name, 0600);
	if (fd < 0)
		return fd;
	*ret = fd;
	return 0;
}

static void control_addr(int dir, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(sa->sun_path, sizeof(sa->sun_path),
		"/proc/self/fd/%d/gate.sock", dir);
}

static int listen_control(int dir, int *ret)
{
	_cleanup_close_ int fd =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa;

	control_addr(dir, &sa);
	(void)unlinkat(dir, "gate.sock", 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		listen(fd, 4) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static int rules_fd(struct sandbox *sb, int *ret)
{
	_cleanup_free_ char *text = policies_text(sb->d, sb);
	_cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, strlen(text));
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

/*
 * What opening TLS needs. Without it the gate runs all the same: it opens
 * nothing and replaces nothing.
 */
static void open_tls(struct sandbox *sb, struct own *o)
{
	_cleanup_free_ char *more =
		xasprintf("%s/extra-ca.pem", sb->d->paths.config);
	const char *roots = getenv("SSL_CERT_FILE");
	struct err err = {0};

	if (secrets_keys_fd(sb, &o->fd[OWN_KEYS], &err) < 0)
		log_error("sandbox=%s has no secrets: %s", sb->row.name,
			err.text);
	o->fd[OWN_ROOTS] = open(roots && *roots ? roots : SYSTEM_ROOTS,
		O_RDONLY | O_CLOEXEC | O_NOCTTY);
	o->fd[OWN_ROOTS_MORE] = open(more, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

static int open_own(struct sandbox *sb, struct own *o, struct err *err)
{
	_cleanup_free_ char *run_path = sandbox_run_dir(sb);
	_cleanup_free_ char *dir_path = sandbox_dir(sb);
	int run = open(run_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dir =
		open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	o->fd[OWN_RUN] = run;
	if (run < 0 || dir < 0)
		return err_sys(err, errno, "directories of '%s'", sb->row.name);
	if (mkdirat(dir, "net", 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "%s/net", dir_path);
	o->fd[OWN_DIR] = openat(
		dir, "net", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (o->fd[OWN_DIR] < 0)
		return err_sys(err, errno, "%s/net", dir_path);
	r = listen_vsock(run, PORT_EGRESS, &o->fd[OWN_EGRESS]);
	r = r ? r : listen_vsock(run, PORT_DNS, &o->fd[OWN_DNS]);
	r = r ? r : listen_control(dir, &o->fd[OWN_CONTROL]);
	r = r ? r : rules_fd(sb, &o->fd[OWN_POLICY]);
	if (r == 0)
		open_tls(sb, o);
	return r < 0 ? err_sys(err, -r, "prepare the gate") : 0;
}

/* The proxy of coved's environment; a variable of our own goes first. */
static void put_proxy(struct buf *b)
{
	static const char *const names[] = {"COVE_PROXY", "ALL_PROXY",
		"all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
		"http_proxy"};
	const char *no = getenv("NO_PROXY");
	const char *url = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names) && (!url || !*url); i++)
		url = getenv(names[i]);
	if (!url || !*url || streq(url, "direct"))
		return;
	no = no ? no : getenv("no_proxy");
	/* Longer than the gate takes: it would not start, so it is cut. */
	(void)tlv_put(b, BT_GATE_PROXY, url, MIN(strlen(url), (size_t)1024));
	if (no)
		(void)tlv_put(
			b, BT_GATE_NO_PROXY, no, MIN(strlen(no), (size_t)4096));
}

static int send_birth(
	struct sandbox *sb, int sock, const struct own *o, struct err *err)
{
	static const uint16_t tags[OWN_N] = {[OWN_EGRESS] = BT_GATE_EGRESS,
		[OWN_DNS] = BT_GATE_DNS,
		[OWN_CONTROL] = BT_GATE_CONTROL,
		[OWN_DIR] = BT_GATE_DIR,
		[OWN_POLICY] = BT_GATE_POLICY,
		[OWN_RUN] = BT_GATE_RUN,
		[OWN_KEYS] = BT_GATE_KEYS,
		[OWN_ROOTS] = BT_GATE_ROOTS,
		[OWN_ROOTS_MORE] = BT_GATE_ROOTS};
	int fds[OWN_N];
	uint32_t n = 0;
	_cleanup_(buf_done) struct buf b;
	int r;

	buf_init(&b, BIRTH_MAX);
	(void)tlv_put_u32(&b, BT_VERSION, WIRE_VERSION);
	(void)tlv_put_str(&b, BT_NAME, sb->row.name);
	(void)tlv_put_u64(&b, BT_GATE_RATE_UP, sb->spec.rate_up);
	(void)tlv_put_u64(&b, BT_GATE_RATE_DOWN, sb->spec.rate_down);
	(void)tlv_put_u64(&b, BT_GATE_QUOTA, sb->spec.quota);
	(void)tlv_put_u32(&b, BT_GATE_ASK, sb->spec.ask);
	put_proxy(&b);
	for (uint32_t i = 0; i < OWN_N; i++) {
		if (o->fd[i] < 0)
			continue;
		(void)tlv_put_u32(&b, tags[i], n);
		fds[n++] = o->fd[i];
	}
	r = sock_send_fds(sock, buf_head(&b), buf_len(&b), fds, n);
	return r < 0 ? err_sys(err, -r, "configure cove-gate") : 0;
}

static int record(void *arg, const struct proc_id *id, struct err *err)
{
	struct sandbox *sb = arg;

	return store_proc_put(sb->d->store, sb->row.id, ROLE, id, err);
}

static int spawn_gate(struct sandbox *sb, int child, struct proc_id *ret_id,
	int *ret_pidfd, struct err *err)
{
	_cleanup_free_ char *run = sandbox_run_dir(sb);
	_cleanup_free_ char *log = xasprintf("%s/gate.log", run);

	return spawn_program("cove-gate", child, log, O_APPEND, record, sb,
		ret_id, ret_pidfd, err);
}

/* The listener is there before the child runs, so this does not wait. */
static int connect_control(struct gate *g, struct err *err)
{
	_cleanup_free_ char *path = sandbox_dir(g->sb);
	_cleanup_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa;
	int r;

	if (dir < 0 || fd < 0)
		return err_sys(err, errno, "%s", path);
	control_addr(dir, &sa);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, errno, "%s/gate.sock", path);
	r = loop_watch(&g->sb->d->loop, &g->ctl, fd, EPOLLIN, on_ctl);
	if (r < 0)
		return err_sys(err, -r, "watch the gate");
	(void)TAKE_FD(fd);
	return 0;
}

static int begin(struct gate *g, struct err *err)
{
	_cleanup_(own_done) struct own o = {
		{-1, -1, -1, -1, -1, -1, -1, -1, -1}};
	_cleanup_close_ int mine = -1;
	_cleanup_close_ int child = -1;
	int sv[2], pidfd, r;

	r = open_own(g->sb, &o, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "socketpair");
	mine = sv[0];
	child = sv[1];
	r = send_birth(g->sb, mine, &o, err);
	r = r ? r : spawn_gate(g->sb, child, &g->id, &pidfd, err);
	if (r < 0)
		return r;
	g->began_ms = now_ms();
	r = loop_watch(&g->sb->d->loop, &g->ended, pidfd, EPOLLIN, on_ended);
	if (r < 0) {
		(void)proc_signal(pidfd, SIGKILL);
		closep(&pidfd);
		return err_sys(err, -r, "watch the gate");
	}
	r = connect_control(g, err);
	if (r == 0)
		gate_push_ports(g->sb);
	return r;
}

static struct gate *gate_new(struct sandbox *sb)
{
	struct gate *g = xnew(struct gate);

	g->sb = sb;
	g->ended.fd = g->ctl.fd = -1;
	sb->gate = g;
	return g;
}

int gate_start(struct sandbox *sb, struct err *err)
{
	int r;

	gate_stop(sb);
	r = ports_open(sb, true, err);
	r = r ? r : begin(gate_new(sb), err);
	if (r < 0)
		gate_stop(sb);
	return r;
}

static void on_again(struct loop *l, struct timer *t)
{
	struct gate *g = container_of(t, struct gate, again);
	struct err err = {0};

	if (begin(g, &err) == 0)
		return;
	log_error("no gate sandbox=%s: %s", g->sb->row.name, err.text);
	/* One that runs and cannot be spoken to ends, and then we try again. */
	if (g->ended.active)
		(void)proc_signal(g->ended.fd, SIGKILL);
	else
		loop_timer(l, &g->again, 10u * AGAIN_MS, on_again);
}

/* Streams are reset with it; everything is denied until the next one is up. */
static void on_ended(struct loop *l, struct watch *w, uint32_t events)
{
	struct gate *g = container_of(w, struct gate, ended);
	bool young = now_ms() - g->began_ms < YOUNG_MS;

	reap(g);
	close_watch(l, &g->ended);
	close_watch(l, &g->ctl);
	sandbox_event(g->sb, "gate.ended",
		"the network gate ended; it is started again");
	loop_timer(l, &g->again, young ? AGAIN_MS : 0, on_again);
}

/* It has them still, and nobody else may open them: the answer brings them. */
static void take_ports(struct gate *g)
{
	uint8_t head[FRAME_HEAD];

	frame_head(head, GF_PORTS_TAKE, 0);
	(void)send(g->ctl.fd, head, sizeof(head), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void gate_adopt(struct sandbox *sb, const struct proc_id *id)
{
	struct gate *g = gate_new(sb);
	struct err err = {0};
	int pidfd = id->pid > 0 ? proc_open(id) : -ESRCH;

	g->id = *id;
	if (pidfd < 0)
		(void)ports_open(sb, false, NULL);
	if (pidfd < 0 ||
		loop_watch(&sb->d->loop, &g->ended, pidfd, EPOLLIN, on_ended) <
			0) {
		loop_timer(&sb->d->loop, &g->again, 0, on_again);
		return;
	}
	if (connect_control(g, &err) < 0) {
		/* Nobody could change its rules: not a gate to keep. */
		log_warn("sandbox=%s: %s", sb->row.name, err.text);
		(void)proc_signal(pidfd, SIGKILL);
		return;
	}
	gate_push(sb);
	take_ports(g);
}

pid_t gate_pid(const struct sandbox *sb)
{
	return sb->gate && sb->gate->ended.active ? sb->gate->id.pid : 0;
}

uint64_t gate_used(const struct sandbox *sb)
{
	_cleanup_free_ char *dir = sandbox_dir(sb);
	_cleanup_free_ char *path = xasprintf("%s/net/used", dir);
	_cleanup_free_ char *text = NULL;
	uint64_t up, down;

	if (fd_slurp_at(AT_FDCWD, path, 64, &text) <= 0 ||
		sscanf(text, "%" SCNu64 " %" SCNu64, &up, &down) != 2)
		return 0;
	return up + down;
}

/* ---- control ---- */

void gate_push(struct sandbox *sb)
{
	struct gate *g = sb->gate;
	_cleanup_close_ int fd = -1;
	uint8_t head[FRAME_HEAD];

	if (!g || g->ctl.fd < 0)
		return; /* it will read them when it starts */
	frame_head(head, GF_POLICY, 0);
	if (rules_fd(sb, &fd) < 0 ||
		sock_send_fds(g->ctl.fd, head, sizeof(head), &fd, 1) < 0) {
		/* Old rules must not go on: a new gate gets the new ones. */
		log_error("gate restarted sandbox=%s: it takes no rules",
			sb->row.name);
		(void)proc_signal(g->ended.fd, SIGKILL);
		return;
	}
	gate_push_keys(sb);
}

void gate_push_keys(struct sandbox *sb)
{
	struct gate *g = sb->gate;
	_cleanup_close_ int fd = -1;
	uint8_t head[FRAME_HEAD];
	struct err err = {0};

	if (!g || g->ctl.fd < 0)
		return;
	frame_head(head, GF_KEYS, 0);
	if (secrets_keys_fd(sb, &fd, &err) < 0 ||
		sock_send_fds(g->ctl.fd, head, sizeof(head), &fd, 1) < 0) {
		/* A secret that was taken back must not go on. */
		log_error("gate restarted sandbox=%s: it takes no secrets: %s",
			sb->row.name, err.text);
		(void)proc_signal(g->ended.fd, SIGKILL);
	}
}

void gate_push_ports(struct sandbox *sb)
{
	_cleanup_(buf_done) struct buf b, body;
	int fds[GATE_PORTS_MAX];
	size_t n;

	if (!sb->gate || sb->gate->ctl.fd < 0)
		return; /* the next one gets them when it starts */
	buf_init(&b, GATE_CONTROL_MAX);
	buf_init(&body, GATE_CONTROL_MAX - FRAME_HEAD);
	n = ports_put(sb, &body, fds);
	(void)frame_put(&b, GF_PORTS, buf_head(&body), buf_len(&body));
	if (sock_send_fds(sb->gate->ctl.fd, buf_head(&b), buf_len(&b), fds, n) <
		0)
		(void)proc_signal(sb->gate->ended.fd, SIGKILL);
}

void gate_answer(struct sandbox *sb, const char *target, uint16_t port,
	bool udp, bool allow)
{
	_cleanup_(buf_done) struct buf b, body;

	if (!sb->gate || sb->gate->ctl.fd < 0)
		return; /* what waited is gone with it */
	buf_init(&b, GATE_CONTROL_MAX);
	buf_init(&body, GATE_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_str(&body, GT_TARGET, target);
	(void)tlv_put_u32(&body, GT_TARGET_PORT, port);
	(void)tlv_put_u32(&body, GT_UDP, udp);
	(void)tlv_put_u32(&body, GT_ALLOW, allow);
	(void)frame_put(&b, GF_ANSWER, buf_head(&body), buf_len(&body));
	(void)send(sb->gate->ctl.fd, buf_head(&b), buf_len(&b),
		MSG_NOSIGNAL | MSG_DONTWAIT);
}

int gate_note(
	struct sandbox *sb, const char *target, bool allow, const char *reason)
{
	_cleanup_(buf_done) struct buf b, body;

	if (!sb->gate || sb->gate->ctl.fd < 0)
		return -ENOTCONN;
	buf_init(&b, GATE_CONTROL_MAX);
	buf_init(&body, GATE_CONTROL_MAX - FRAME_HEAD);
	(void)tlv_put_str(&body, GT_TARGET, target);
	(void)tlv_put_u32(&body, GT_ALLOW, allow);
	(void)tlv_put_str(&body, GT_TEXT, reason);
	(void)frame_put(&b, GF_NOTE, buf_head(&body), buf_len(&body));
	return send(sb->gate->ctl.fd, buf_head(&b), buf_len(&b),
		       MSG_NOSIGNAL | MSG_DONTWAIT) < 0
		? -errno
		: 0;
}

/* Of a gate that was adopted. What it does not have is opened. */
static void on_ports(struct gate *g, const struct frame *f, int fds[], size_t n)
{
	ports_adopt(g->sb, f->p, f->len, fds, n);
	(void)ports_open(g->sb, false, NULL);
	gate_push_ports(g->sb);
}

static void on_message(struct gate *g, const struct frame *f)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);
	_cleanup_free_ char *event = NULL;
	_cleanup_free_ char *text = NULL;
	struct tlv t;

	while (tlv_next(&it, &t) > 0) {
		if (t.tag == GT_EVENT && !event)
			(void)tlv_str(&t, 32, &event);
		else if (t.tag == GT_TEXT && !text)
			(void)tlv_str(&t, 512, &text);
	}
	if (f->type == GF_EVENT && event)
		sandbox_guest_event(g->sb, event, text ? text : "");
	else if (f->type == GF_FAILED)
		log_error("gate sandbox=%s: %s", g->sb->row.name,
			text ? text : "refused");
}

static void on_ctl(struct loop *l, struct watch *w, uint32_t events)
{
	struct gate *g = container_of(w, struct gate, ctl);
	_cleanup_(buf_done) struct buf in;
	int fds[FD_PASS_MAX];
	size_t n_fds = 0;
	struct frame f;
	ssize_t n;

	buf_init(&in, GATE_CONTROL_MAX);
	n = sock_recv_fds(w->fd, buf_reserve(&in, GATE_CONTROL_MAX),
		GATE_CONTROL_MAX, fds, FD_PASS_MAX, &n_fds);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		close_watch(l, &g->ctl); /* its end comes by the pidfd */
		return;
	}
	buf_add(&in, (size_t)n);
	if (frame_peek(&in, &f) > 0 && f.type == GF_PORTS)
		on_ports(g, &f, fds, n_fds);
	else if (frame_peek(&in, &f) > 0 && f.type == GF_ASK)
		ask_add(g->sb, f.p, f.len);
	else if (frame_peek(&in, &f) > 0)
		on_message(g, &f);
	for (size_t i = 0; i < n_fds; i++)
		closep(&fds[i]);
}
