/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/gate.h"

#include "base/fd.h"
#include "base/log.h"
#include "gate/judge.h"
#include "gate/limit.h"
#include "gate/ports.h"
#include "gate/stream.h"
#include "jail/jail.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define ACCEPT_BATCH 64u
#define ACCEPT_PAUSE_MS 100u
#define NAMES_FILE "names"
#define USED_FILE "used"
#define USED_STEP (256u * 1024u) /* bytes that a kill may forget */
#define ROOTS_MAX (8 << 20)

static void on_egress(struct loop *l, struct watch *w, uint32_t events);
static void on_dns(struct loop *l, struct watch *w, uint32_t events);

static void listen_again(struct loop *l, struct timer *t)
{
	struct gate *g = container_of(t, struct gate, accept_again);

	(void)loop_watch(l, &g->egress, g->birth.egress, EPOLLIN, on_egress);
	(void)loop_watch(l, &g->dns, g->birth.dns, EPOLLIN, on_dns);
	ports_listen(g, true);
}

/* Out of descriptors: the backlog waits until some are closed again. */
void gate_pause(struct gate *g)
{
	loop_unwatch(&g->loop, &g->egress);
	loop_unwatch(&g->loop, &g->dns);
	ports_listen(g, false);
	loop_timer(&g->loop, &g->accept_again, ACCEPT_PAUSE_MS, listen_again);
}

static void accept_some(
	struct gate *g, int listener, void (*take)(struct gate *g, int fd))
{
	for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(
			listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			gate_pause(g);
		if (fd < 0)
			return;
		if (g->n_streams >= GATE_STREAMS_MAX) {
			g->count.dropped++;
			close(fd);
			continue;
		}
		take(g, fd);
	}
}

static void take_stream(struct gate *g, int fd)
{
	(void)stream_new(g, fd);
}

static void on_egress(struct loop *l, struct watch *w, uint32_t events)
{
	accept_some(container_of(w, struct gate, egress), w->fd, take_stream);
}

static void on_dns(struct loop *l, struct watch *w, uint32_t events)
{
	accept_some(container_of(w, struct gate, dns), w->fd, query_new);
}

/* Two descriptors a stream; what the host allows at most. */
static void raise_limits(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = MIN(rl.rlim_max, (rlim_t)1 << 20);
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}

int gate_open(struct gate *g, struct err *err)
{
	int r = loop_init(&g->loop);

	if (r < 0)
		return err_sys(err, -r, "event loop");
	list_init(&g->streams);
	list_init(&g->queries);
	list_init(&g->ports);
	list_init(&g->peers);
	list_init(&g->limits);
	g->used_fd = -1;
	g->limits_fd = -1;
	g->client.fd = -1;
	g->uid = geteuid();
	g->audit.fd = -1;
	g->scratch = xcalloc(1, GATE_SCRATCH);
	raise_limits();
	return resolver_new(&g->loop, &g->resolver, err);
}

int gate_jail(struct gate *g, int birth_fd, struct err *err)
{
	const struct birth *b = &g->birth;
	const int keep[] = {b->egress, b->dns, b->control, b->dir, b->policy,
		b->keys, b->roots[0], b->roots[1], b->run, birth_fd};
	struct jail_files files = {
		.entry = {{&b->dir, "log", false}, {&b->run, "run", true}},
		.n = 2,
		.network = true};
	int r = jail_fds(keep, ARRAY_SIZE(keep), err);

	r = r ? r : gate_open(g, err);
	return r ? r : jail_enter(&files, 0, err);
}

int gate_set_policy(struct gate *g, int fd, struct err *err)
{
	struct policy_rule *rules = NULL;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t n = 0, size;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "rules");
	if (st.st_size < 0 || (uint64_t)st.st_size > GATE_POLICY_MAX)
		return err_set(err, EFBIG, "the rules are too long");
	size = (size_t)st.st_size;
	text = xcalloc(1, size + 1);
	if (pread(fd, text, size, 0) != (ssize_t)size)
		return err_set(err, EIO, "the rules cannot be read");
	r = policy_rules_parse(text, size, "line", &rules, &n, err);
	if (r < 0)
		return r;
	free(g->rules);
	g->rules = rules;
	g->policy = (struct policy){rules, n};
	limits_update(g);
	judge_again(g);
	limits_sweep(g);
	return 0;
}

void gate_limits(struct gate *g, uint64_t up, uint64_t down, uint64_t quota)
{
	rate_init(&g->up, up, now_ms());
	rate_init(&g->down, down, now_ms());
	g->quota = quota;
	g->over_quota = quota && g->count.up + g->count.down >= quota;
	streams_wake(g);
}

/* "UP DOWN", as wide as it gets, so that it can be written over. */
static void keep_used(struct gate *g)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%020" PRIu64 " %020" PRIu64 "\n",
		g->count.up, g->count.down);

	g->used_kept = g->count.up + g->count.down;
	if (lseek(g->used_fd, 0, SEEK_SET) < 0 ||
		fd_write_all(g->used_fd, line, (size_t)n) < 0)
		log_debug("bytes not kept");
}

/* What earlier gates of this sandbox let through counts as well. */
static int open_used(struct gate *g, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	uint64_t up, down;
	int fd;

	if (fd_slurp_at(g->birth.dir, USED_FILE, 64, &text) > 0 &&
		sscanf(text, "%" SCNu64 " %" SCNu64, &up, &down) == 2) {
		g->count.up = up;
		g->count.down = down;
	}
	g->used_kept = g->count.up + g->count.down;
	fd = openat(g->birth.dir, USED_FILE,
		O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, USED_FILE);
	g->used_fd = fd;
	return 0;
}

bool gate_spend(struct gate *g, uint64_t up, uint64_t down)
{
	g->count.up += up;
	g->count.down += down;
	if (g->count.up + g->count.down - g->used_kept >= USED_STEP)
		keep_used(g);
	if (!g->quota || g->over_quota ||
		g->count.up + g->count.down < g->quota)
		return g->over_quota;
	g->over_quota = true;
	keep_used(g);
	control_event(g, "quota.net", "the network quota is used up");
	return true;
}

int gate_set_keys(struct gate *g, int fd, struct err *err)
{
	struct vault *v = NULL;
	int r = vault_read(fd, &v, err);

	if (r < 0)
		return r;
	vault_free(g->vault);
	g->vault = v;
	return 0;
}

static int add_roots(struct tls_roots *roots, int fd, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > ROOTS_MAX)
		return err_set(err, EFBIG, "the trusted certificates");
	text = xcalloc(1, (size_t)st.st_size + 1);
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
		return err_set(err, EIO, "read the trusted certificates");
	return tls_roots_add(roots, text, (size_t)st.st_size, err);
}

/* Late, because most sandboxes never need the megabyte of certificates. */
int gate_ready_tls(struct gate *g, struct err *err)
{
	struct tls_roots *roots = NULL;
	int r = g->front ? 0 : tls_front_new(&g->front, err);

	if (r < 0 || g->roots)
		return r;
	r = tls_roots_new(&roots, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(g->birth.roots); i++)
		r = add_roots(roots, g->birth.roots[i], err);
	if (r < 0)
		tls_roots_free(roots);
	else
		g->roots = roots;
	return r;
}

/* A wrong setting is no reason for a sandbox without a gate: it denies. */
static void set_upstream(struct gate *g)
{
	const char *url = g->birth.proxy ? g->birth.proxy : "";
	struct err err = {0};

	if (upstream_parse(url, g->birth.no_proxy, &g->upstream, &err) == 0)
		return;
	g->upstream_bad = true;
	log_error("%s", err.text);
}

static int open_names(struct gate *g, struct err *err)
{
	int fd = openat(g->birth.dir, NAMES_FILE,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, errno, "the journal of names");
	return names_open(fd, &g->names, err);
}

static int listen_on(
	struct gate *g, struct watch *w, int fd, watch_fn *fn, struct err *err)
{
	int r = fd_nonblock(fd, true);

	r = r ? r : loop_watch(&g->loop, w, fd, EPOLLIN, fn);
	return r < 0 ? err_sys(err, -r, "listen") : 0;
}

static void on_signal(struct loop *l, void *arg, int signo)
{
	loop_stop(l, 0);
}

static int watch_signals(struct gate *g, struct err *err)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	r = loop_signals(&g->loop, &set, on_signal, g);
	return r < 0 ? err_sys(err, -r, "signals") : 0;
}

int gate_build(struct gate *g, struct err *err)
{
	const struct birth *b = &g->birth;
	int r = open_names(g, err);

	r = r ? r : watch_signals(g, err);
	r = r ? r : audit_open(&g->audit, b->dir, b->name, err);
	r = r ? r : limits_open(g, err);
	r = r ? r : gate_set_policy(g, b->policy, err);
	r = r ? r : open_used(g, err);
	set_upstream(g);
	if (r == 0 && b->keys >= 0)
		r = gate_set_keys(g, b->keys, err);
	if (r < 0)
		return r;
	gate_limits(g, b->rate_up, b->rate_down, b->quota);
	r = control_init(g, err);
	r = r ? r : listen_on(g, &g->egress, b->egress, on_egress, err);
	return r ? r : listen_on(g, &g->dns, b->dns, on_dns, err);
}

static void stop_now(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

void gate_done(struct gate *g)
{
	struct task last = {0};

	if (g->scratch) {
		streams_done(g);
		queries_done(g);
		ports_done(g);
		limits_done(g);
		control_done(g);
		loop_unwatch(&g->loop, &g->egress);
		loop_unwatch(&g->loop, &g->dns);
		loop_untimer(&g->loop, &g->throttle);
		loop_untimer(&g->loop, &g->accept_again);
		/* What was deferred is freed in one last round. */
		loop_defer(&g->loop, &last, stop_now);
		(void)loop_run(&g->loop);
		resolver_free(g->resolver);
		loop_done(&g->loop);
	}
	if (g->scratch && g->used_fd >= 0) {
		keep_used(g);
		closep(&g->used_fd);
	}
	upstream_done(&g->upstream);
	names_free(g->names);
	vault_free(g->vault);
	tls_front_free(g->front);
	tls_roots_free(g->roots);
	audit_close(&g->audit);
	free(g->rules);
	free(g->scratch);
	birth_done(&g->birth);
}
