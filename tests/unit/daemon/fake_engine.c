/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine without a virtual machine: the monitor is a process that plays the
 * guest agent on the sandbox's sockets, the device server one that sleeps. How
 * the guest behaves is said by the first word of the sandbox's name.
 */
#include "fake.h"

#include "daemon/spawn.h"

#include "base/buf.h"
#include "wire/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static bool is(const char *name, const char *word)
{
	return strncmp(name, word, strlen(word)) == 0;
}

struct rec {
	engine_record_fn *fn;
	void *arg;
	enum engine_role role;
};

static int record(void *arg, const struct proc_id *id, struct err *err)
{
	struct rec *r = arg;

	return r->fn(r->arg, r->role, id, err);
}

static int start_one(const struct engine_config *cfg, enum engine_role role,
	int listen_fd, struct rec *rec, struct engine *e, struct err *err)
{
	const char *const argv[] = {"fake",
		role == ENGINE_MONITOR ? "--guest" : "--devices", cfg->run_dir,
		cfg->name, NULL};
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	struct spawn sp = {.path = exe,
		.argv = argv,
		.stdin_fd = -1,
		.stdout_fd = 2,
		.stderr_fd = 2,
		.fds = {listen_fd},
		.to = {9},
		.n_fds = 1};

	rec->role = role;
	return spawn_child(
		&sp, record, rec, &e->id[role], &e->pidfd[role], err);
}

static void fake_kill(struct engine *e)
{
	for (size_t i = 0; i < ENGINE_N_ROLES; i++)
		if (e->pidfd[i] >= 0)
			(void)proc_signal(e->pidfd[i], SIGKILL);
}

static void fake_close(struct engine *e)
{
	for (size_t i = 0; i < ENGINE_N_ROLES; i++) {
		(void)waitid(P_PIDFD, (id_t)e->pidfd[i], &(siginfo_t){0},
			WEXITED | WNOHANG);
		closep(&e->pidfd[i]);
		e->pidfd[i] = -1;
	}
}

static int fake_start(const struct engine_config *cfg, engine_record_fn *fn,
	void *arg, struct engine *ret, struct err *err)
{
	struct engine e = {.pidfd = {-1, -1}};
	struct rec rec = {fn, arg, ENGINE_MONITOR};
	int dir, fd, r;

	if (is(cfg->name, "nostart"))
		return err_set(err, EIO, "the fake engine does not start");
	/* Listens before anybody runs, as the device server does. */
	dir = open(cfg->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = sock_listen_at(dir, "vsock.sock", 0600);
	close(dir);
	if (fd < 0)
		return err_sys(err, -fd, "listen");
	r = start_one(cfg, ENGINE_DEVICES, fd, &rec, &e, err);
	if (r == 0)
		r = start_one(cfg, ENGINE_MONITOR, fd, &rec, &e, err);
	close(fd);
	if (r < 0) {
		fake_kill(&e);
		fake_close(&e);
		return r;
	}
	*ret = e;
	return 0;
}

static int fake_adopt(
	const struct proc_id id[ENGINE_N_ROLES], struct engine *ret)
{
	struct engine e = {.pidfd = {-1, -1}};

	for (size_t i = 0; i < ENGINE_N_ROLES; i++) {
		e.id[i] = id[i];
		e.pidfd[i] = proc_open(&id[i]);
		if (e.pidfd[i] < 0) {
			fake_kill(&e);
			e.pidfd[i] = -1;
			fake_close(&e);
			return -ESRCH;
		}
	}
	*ret = e;
	return 0;
}

static void fake_quit(struct engine *e)
{
	(void)proc_signal(e->pidfd[ENGINE_MONITOR], SIGTERM);
}

static bool fake_is_open(const struct engine *e)
{
	return e->pidfd[0] >= 0;
}

static uint64_t fake_cpu_ms(const struct engine *e)
{
	char path[64], text[256] = "";
	int fd;

	/* A guest that hangs has burnt all the CPU there is. */
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline",
		(int)e->id[ENGINE_MONITOR].pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, text, sizeof(text) - 1);

		close(fd);
		for (ssize_t i = 0; i + 1 < n; i++)
			if (text[i] == '\0')
				text[i] = ' ';
	}
	return strstr(text, " hang") ? 100000000 : 1;
}

static uint64_t fake_memory(const struct engine *e)
{
	return 12345678;
}

static int fake_choose(
	const char *want, struct engine_choice *ret, struct err *err)
{
	if (streq(want, "kvm"))
		return err_set(err, EOPNOTSUPP, "no KVM in a test");
	if (!streq(want, "auto") && !streq(want, "qemu"))
		return err_set(err, EINVAL, "unknown engine '%s'", want);
	*ret = (struct engine_choice){
		ENGINE_QEMU, ENGINE_TCG, "fake", "tcg", "a test"};
	return 0;
}

const struct backend backend_fake = {
	.choose = fake_choose,
	.start = fake_start,
	.adopt = fake_adopt,
	.kill = fake_kill,
	.quit = fake_quit,
	.close = fake_close,
	.is_open = fake_is_open,
	.cpu_ms = fake_cpu_ms,
	.memory = fake_memory,
};
