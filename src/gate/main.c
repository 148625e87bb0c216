/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-gate - the network of one sandbox. Started by coved, which hands over
 * everything at birth; afterwards it opens internet sockets and files of its
 * own log directory, nothing else.
 */
#include "gate/gate.h"

#include "base/log.h"
#include "jail/jail.h"
#include <malloc.h>
#include <signal.h>

#define HEAP_SPARE (1 << 20)

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
	struct err err = {0};
	int r = birth_arguments("cove-gate", argc, argv);

	if (r >= 0)
		return r;
	log_init("cove-gate", LOG_L_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	keep_heap();
	if (serve(g, &err) < 0)
		log_error("%s", err.text);
	gate_done(g);
	return err.code ? 1 : 0;
}
