/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which accelerator: the probe program runs a tiny guest and says whether this
 * /dev/kvm can run a stock kernel. It parses nothing from outside, but it may
 * hang in a broken hypervisor, so its answer is waited for with a bound.
 */
#include "daemon/engine_internal.h"

#include "base/paths.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define PROBE_WAIT_MS 10000
#define PROBE_ANSWER_MAX 4096

struct probe {
	bool known;
	bool usable;
	char why[200];
};

/* Reads until the end of file or the bound; bytes read. */
static size_t read_answer(int fd, char *p, size_t len)
{
	uint64_t until = now_ms() + PROBE_WAIT_MS;
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t r;

	while (n < len) {
		uint64_t now = now_ms();

		if (now >= until || poll(&pfd, 1, (int)(until - now)) <= 0)
			break;
		r = read(fd, p + n, len - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	return n;
}

static void probe_parse(struct probe *p, const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, 0, NULL);
	const char *why = json_string_value(json_object_get(o, "why"));

	p->usable = json_is_true(json_object_get(o, "usable"));
	(void)snprintf(p->why, sizeof(p->why), "%s",
		why ? why : "the KVM probe gave no answer");
	json_decref(o);
}

static void probe_run(struct probe *p)
{
	const char *argv[] = {"cove-vmm", "--probe", "--json", NULL};
	_cleanup_free_ char *program = NULL;
	_cleanup_close_ int rd = -1;
	_cleanup_close_ int wr = -1;
	_cleanup_close_ int pidfd = -1;
	char answer[PROBE_ANSWER_MAX];
	struct spawn sp = {.argv = argv, .stdin_fd = -1, .stderr_fd = -1};
	struct err err = {0};
	struct proc_id id;
	siginfo_t si;
	int pipe_fd[2];
	size_t n;

	(void)snprintf(p->why, sizeof(p->why), "the KVM probe could not run");
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return;
	rd = pipe_fd[0];
	wr = pipe_fd[1];
	sp.stdout_fd = wr;
	if (paths_program(argv[0], &program, &err) < 0)
		return;
	sp.path = program;
	if (spawn_child(&sp, NULL, NULL, &id, &pidfd, &err) < 0)
		return;
	closep(&wr);
	n = read_answer(rd, answer, sizeof(answer));
	(void)proc_signal(pidfd, SIGKILL);
	(void)waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED);
	probe_parse(p, answer, n);
}

static const struct probe *probe(void)
{
	static struct probe p;

	if (!p.known) {
		probe_run(&p);
		p.known = true;
	}
	return &p;
}

static int choose(struct engine_choice *c, enum engine_kind kind,
	enum engine_accel accel, const char *why)
{
	*c = (struct engine_choice){.kind = kind,
		.accel = accel,
		.name = kind == ENGINE_VMM ? "cove-vmm" : "qemu",
		.isolation = accel == ENGINE_KVM ? "kvm" : "tcg"};
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
	return 0;
}

int engine_choose(const char *want, struct engine_choice *ret, struct err *err)
{
	const struct probe *p = probe();
	bool qemu = streq(want, "qemu");

	if (p->usable)
		return choose(ret, qemu ? ENGINE_QEMU : ENGINE_VMM, ENGINE_KVM,
			p->why);
	if (streq(want, "kvm"))
		return err_set(err, EOPNOTSUPP,
			"engine kvm cannot be used here: %s; try --engine auto",
			p->why);
	return choose(ret, ENGINE_QEMU, ENGINE_TCG, p->why);
}
