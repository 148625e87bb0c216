/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/boot.h"
#include "agent/docker_spec.h"
#include "agent/modules.h"
#include "agent/system.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

static struct agent agent;

/* docker_run.c links the one name to this program, docker_spec.c the other. */
static bool is_called(const char *name, const char *what)
{
	const char *slash = name ? strrchr(name, '/') : NULL;

	return name && streq(slash ? slash + 1 : name, what);
}

int main(int argc, char **argv)
{
	struct err err = {0};

	if (getpid() != 1 && is_called(argv[0], "runc"))
		docker_runc(argc, argv);
	if (getpid() != 1 && is_called(argv[0], DOCKER_OWN_SETKEY))
		docker_setkey(argc, argv);
	if (argc > 1 && streq(argv[1], "--version")) {
		puts("cove-init " COVE_VERSION);
		return 0;
	}
	/* modprobe -q -- NAME, from the kernel */
	if (getpid() != 1 && argc == 4 && streq(argv[1], "-q")) {
		modules_wait();
		return 0;
	}
	if (getpid() != 1) {
		fputs("cove-init is the first process of a Cove guest\n",
			stderr);
		return 2;
	}
	/* COVE_LOG on the kernel's command line becomes our environment. */
	log_init("cove-init", LOG_L_WARN);
	if (boot_kernel(&err) < 0) {
		log_error("boot: %s", err.text);
		boot_undo();
		system_power_off();
	}
	agent_run(&agent);
}
