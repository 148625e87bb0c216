/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup.h"

#include "agent/system.h"
#include "base/fd.h"
#include "base/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define RESERVE_MIN (16 * MIB)
#define EVENTS_MAX 1024u
#define PROCS_MAX (1024u * 1024u)
#define DEPTH_MAX 16u

static void signal_procs(int dirfd, int signo)
{
	_cleanup_free_ char *text = NULL;
	char *p, *end;

	if (fd_slurp_at(dirfd, "cgroup.procs", PROCS_MAX, &text) < 0)
		return;
	for (p = text; *p; p = end + (*end == '\n')) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			return;
		if (pid > 1)
			(void)kill((pid_t)pid, signo);
	}
}

static void signal_tree(int dirfd, int signo, unsigned depth)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!dir)
		return;
	signal_procs(fd, signo);
	while (depth < DEPTH_MAX && (e = readdir(dir))) {
		_cleanup_close_ int sub = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		signal_tree(sub, signo, depth + 1);
	}
	closedir(dir);
}

void cgroup_signal(int dirfd, int signo)
{
	signal_tree(dirfd, signo, 0);
}

uint64_t cgroup_counter(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (*text) {
		if (strncmp(text, key, len) == 0 && text[len] == ' ')
			return strtoull(text + len + 1, NULL, 10);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

static int write_at(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fd_write_all(fd, text, strlen(text));
}

static int make_group(int parent, const char *name, int *ret)
{
	int fd;

	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret = fd;
	return 0;
}

/* One by one: a controller that the kernel lacks must not hide the others. */
static void enable_controllers(int dirfd)
{
	static const char *const all[] = {"+memory", "+pids", "+cpu", "+io"};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (write_at(dirfd, "cgroup.subtree_control", all[i]) < 0)
			log_warn("cgroup: no %s controller", all[i] + 1);
}

static void set_limit(int dirfd, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (write_at(dirfd, name, text) < 0)
		log_warn("cgroup: cannot set %s", name);
}

/*
 * Of what is free before the workload begins: the kernel has taken its share
 * by then. The reserve is for what it takes later, and for the agent.
 */
static uint64_t memory_limit(void)
{
	uint64_t total, available;

	system_memory(&total, &available);
	return available - MIN(available / 2, MAX(total / 32, RESERVE_MIN));
}

static uint64_t read_counter(const struct cgroup_file *f)
{
	char text[EVENTS_MAX];
	ssize_t n = pread(f->fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return 0;
	text[n] = '\0';
	return cgroup_counter(text, f->key);
}

static void report(const struct cgroup_file *f, uint64_t more)
{
	const struct cgroup *c = f->cgroup;
	char text[160];

	if (streq(f->type, "oom"))
		snprintf(text, sizeof(text),
			"out of memory: the kernel killed %llu process%s "
			"(limit %llu MiB)",
			(unsigned long long)more, more == 1 ? "" : "es",
			(unsigned long long)(c->memory_max / MIB));
	else
		snprintf(text, sizeof(text),
			"%llu more process%s refused: the limit is %u",
			(unsigned long long)more,
			more == 1 ? " was" : "es were", c->pids_max);
	c->event(c->arg, f->type, text);
}

static void on_change(struct loop *l, struct watch *w, uint32_t events)
{
	struct cgroup_file *f = container_of(w, struct cgroup_file, watch);
	uint64_t now = read_counter(f); /* also rearms the notification */
	uint64_t more = now - f->seen;

	if (now <= f->seen)
		return;
	f->seen = now;
	report(f, more);
}

static void watch_file(struct cgroup *c, struct loop *l, size_t i, int dirfd,
	const char *name, const char *key, const char *type)
{
	struct cgroup_file *f = &c->files[i];

	*f = (struct cgroup_file){
		.cgroup = c,
		.fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC),
		.key = key,
		.type = type,
	};
	if (f->fd < 0) {
		log_warn("cgroup: no %s", name);
		return;
	}
	f->seen = read_counter(f);
	if (loop_watch(l, &f->watch, f->fd, EPOLLPRI, on_change) < 0)
		log_warn("cgroup: cannot watch %s", name);
}

int cgroup_setup(struct cgroup *c, struct loop *l, uint32_t pids_max,
	cgroup_event_fn *event, void *arg, struct err *err)
{
	_cleanup_close_ int root =
		open(CGROUP_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int box = -1;
	int r;

	if (root < 0)
		return err_sys(err, errno, "open %s", CGROUP_ROOT);
	enable_controllers(root);
	r = make_group(root, "sandbox", &box);
	if (r < 0)
		return err_sys(err, -r, "make cgroup sandbox");
	enable_controllers(box);
	r = make_group(box, "main", &c->main_fd);
	if (r < 0)
		return err_sys(err, -r, "make cgroup sandbox/main");
	c->event = event;
	c->arg = arg;
	c->pids_max = pids_max;
	c->memory_max = memory_limit();
	set_limit(box, "memory.max", c->memory_max);
	if (pids_max)
		set_limit(box, "pids.max", pids_max);
	watch_file(c, l, 0, box, "memory.events", "oom_kill", "oom");
	/* Counted where the fork failed up to Linux 6.10, then at the limit. */
	watch_file(c, l, 1, box, "pids.events", "max", "quota.pids");
	watch_file(c, l, 2, c->main_fd, "pids.events", "max", "quota.pids");
	return 0;
}
