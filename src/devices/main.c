/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-devices - the devices of one sandbox whose engine is QEMU. Started by
 * coved, which hands over everything at birth; nothing is opened later but
 * files below the exports and the sockets vsock.sock_P.
 */
#include "devices/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "jail/jail.h"
#include <malloc.h>

static int serve(struct server *s, struct err *err)
{
	int r = birth_receive(&s->birth, BIRTH_FD, err);

	r = r ? r : server_jail(s, BIRTH_FD, err);
	r = r ? r : server_build(s, err);
	r = r ? r : jail_syscalls(JAIL_DEVICES, err);
	birth_answer(BIRTH_FD, err);
	if (r < 0)
		return r;
	(void)close(BIRTH_FD);
	r = server_run(s);
	return r < 0 ? err_sys(err, -r, "event loop") : 0;
}

int main(int argc, char **argv)
{
	_cleanup_free_ struct server *s = xnew(struct server);
	struct err err = {0};
	int r = birth_arguments("cove-devices", argc, argv);

	if (r >= 0)
		return r;
	log_init("cove-devices", LOG_L_INFO);
	/* Workers allocate little: one heap for all keeps us small. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (serve(s, &err) < 0)
		log_error("%s", err.text);
	server_done(s);
	return err.code ? 1 : 0;
}
