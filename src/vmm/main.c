/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-vmm - runs one sandbox's virtual machine on /dev/kvm. It is started by
 * coved with a socket at descriptor 3, over which it is handed everything it
 * will ever hold; then it goes to jail and runs the guest.
 */
#include "base/fd.h"
#include "base/log.h"
#include "vmm/confine.h"
#include "vmm/control.h"
#include "vmm/machine.h"
#include "vmm/probe.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Exit codes: coved tells them apart where it has nothing else. */
enum {
	EXIT_OFF = 0,
	EXIT_REFUSED = 1,
	EXIT_RESET = 10,
	EXIT_CRASH = 11,
	EXIT_INTERNAL = 12,
	EXIT_STOPPED = 13
};

static const int exit_codes[] = {
	[VM_END_NONE] = EXIT_INTERNAL,
	[VM_END_OFF] = EXIT_OFF,
	[VM_END_RESET] = EXIT_RESET,
	[VM_END_CRASH] = EXIT_CRASH,
	[VM_END_INTERNAL] = EXIT_INTERNAL,
	[VM_END_STOPPED] = EXIT_STOPPED,
};

static void on_signal(struct loop *l, void *arg, int signo)
{
	struct machine *m = arg;

	vcpus_end(&m->cpus, VM_END_STOPPED, "stopped by signal %d", signo);
}

/* BIRTH_OK when the guest is about to run, else why not: also in the status. */
static void answer(const struct err *err, int status)
{
	if (err->code)
		log_error("%s", err->text);
	if (err->code && status >= 0)
		(void)dprintf(status, "refused: %s\n", err->text);
	birth_answer(BIRTH_FD, err);
	(void)close(BIRTH_FD);
}

static int build(struct machine *m, struct control *c, struct loop *l,
	struct vmm_config *cfg, struct err *err)
{
	sigset_t set;
	int r = confine_process(cfg, BIRTH_FD, err);

	if (r == 0 && loop_init(l) < 0)
		r = err_sys(err, errno, "cannot make an event loop");
	if (r == 0)
		r = machine_open(m, l, cfg, err);
	if (r < 0)
		return r;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	r = loop_signals(l, &set, on_signal, m);
	if (r < 0)
		return err_sys(err, -r, "cannot receive signals");
	r = machine_build(m, err);
	if (r == 0)
		r = machine_load(m, err);
	if (r == 0)
		r = control_init(c, l, cfg->control, m, err);
	return r < 0 ? r : machine_start(m, err);
}

static int finish(struct machine *m, const struct vmm_config *cfg)
{
	char reason[600];
	enum vm_end end;

	end = machine_reason(m, reason, sizeof(reason));
	log_info("%s: %s", cfg->name ? cfg->name : "guest", reason);
	if (cfg->status >= 0)
		(void)dprintf(cfg->status, "%s\n", reason);
	machine_done(m);
	return exit_codes[end];
}

static int run(void)
{
	struct err err = {0};
	struct machine *m = xnew(struct machine);
	struct control control;
	struct vmm_config cfg;
	struct loop loop;
	int code = EXIT_REFUSED;

	/* Who gave birth may not be waiting for the answer. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (config_receive(BIRTH_FD, &cfg, &err) < 0) {
		answer(&err, -1);
		return EXIT_REFUSED;
	}
	(void)build(m, &control, &loop, &cfg, &err);
	answer(&err, cfg.status);
	if (err.code == 0) {
		(void)loop_run(&loop);
		control_done(&control);
		code = finish(m, &cfg);
		loop_done(&loop);
	}
	config_done(&cfg);
	free(m);
	return code;
}

int main(int argc, char **argv)
{
	int r;

	log_init("cove-vmm", LOG_L_INFO);
	if (argc > 1 && streq(argv[1], "--probe"))
		return probe_command(argc - 2, argv + 2);
	r = birth_arguments("cove-vmm", argc, argv);
	if (r >= 0)
		return r;
	/* Workers allocate little: one heap for all keeps us small. */
	(void)mallopt(M_ARENA_MAX, 1);
	return run();
}
