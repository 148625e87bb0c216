/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cove-devices - the devices of one sandbox whose engine is QEMU. Started by
 * coved, which hands over everything at birth; nothing is opened later but
 * files below the exports and the sockets vsock.sock_P.
 */
#include "devices/server.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/opt.h"
#include "jail/jail.h"
#include <malloc.h>
#include <stdio.h>

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
	(void)fputs("usage: cove-devices (started by coved)\n\n", to);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		(void)fprintf(
			to, "  --%-10s %s\n", table[i].name, table[i].help);
	return status;
}

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
	struct options o = {0};
	struct err err = {0};
	int n, dashdash;

	if (opt_parse(table, ARRAY_SIZE(table), &o, argc - 1, argv + 1, false,
		    &n, &dashdash, &err) < 0 ||
		n) {
		(void)fprintf(stderr, "cove-devices: %s\n",
			err.code ? err.text : "takes no arguments");
		return usage(stderr, 2);
	}
	if (o.help)
		return usage(stdout, 0);
	if (o.version)
		return printf("cove-devices %s\n", COVE_VERSION) < 0;
	log_init("cove-devices", LOG_L_INFO);
	/* Workers allocate little: one heap for all keeps us small. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (serve(s, &err) < 0)
		log_error("%s", err.text);
	server_done(s);
	return err.code ? 1 : 0;
}
