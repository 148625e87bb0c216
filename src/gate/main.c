/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-gate - the network of one sandbox. Started by coved, which hands over
 * everything at birth; afterwards it opens internet sockets and files of its
 * own log directory, nothing else.
 */
#include "gate/gate.h"

#include "base/log.h"
#include "base/opt.h"
#include "jail/jail.h"
#include <malloc.h>
#include <signal.h>
#include <stdio.h>

#define HEAP_SPARE (1 << 20)

struct options {
	bool help;
	bool version;
};

static const struct opt table[] = {
	{"help", 'h', OPT_FLAG, offsetof(struct options, help), NULL,
		"Show this help"},
	{"version", 0, OPT_FLAG, offsetof(struct options, version), NULL,
		"Show the version"},
};

static int usage(FILE *to, int status)
{
	(void)fputs("usage: cove-gate (started by coved)\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		(void)fprintf(
			to, "  --%-10s %s\n", table[i].name, table[i].help);
	return status;
}

/*
 * Buffers come and go with every event: a megabyte stays, so that the kernel
 * need not make and clear the same pages again and again.
 */
static void keep_heap(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_SPARE);
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_SPARE);
}

static int serve(struct gate *g, struct err *err)
{
	int r = birth_receive(&g->birth, BIRTH_FD, err);

	r = r ? r : gate_jail(g, BIRTH_FD, err);
	r = r ? r : gate_build(g, err);
	r = r ? r : jail_syscalls(JAIL_GATE, err);
	birth_answer(BIRTH_FD, err);
	if (r < 0)
		return r;
	(void)close(BIRTH_FD);
	r = loop_run(&g->loop);
	return r < 0 ? err_sys(err, -r, "event loop") : 0;
}

int main(int argc, char **argv)
{
	_cleanup_free_ struct gate *g = xnew(struct gate);
	struct options o = {0};
	struct err err = {0};
	int n, dashdash;

	if (opt_parse(table, ARRAY_SIZE(table), &o, argc - 1, argv + 1, false,
		    &n, &dashdash, &err) < 0 ||
		n) {
		(void)fprintf(stderr, "cove-gate: %s\n",
			err.code ? err.text : "takes no arguments");
		return usage(stderr, 2);
	}
	if (o.help)
		return usage(stdout, 0);
	if (o.version)
		return printf("cove-gate %s\n", COVE_VERSION) < 0;
	log_init("cove-gate", LOG_L_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	keep_heap();
	if (serve(g, &err) < 0)
		log_error("%s", err.text);
	gate_done(g);
	return err.code ? 1 : 0;
}
