/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cove-devices is told at birth: the one message on BIRTH_FD, decoded
 * (wire/birth.h). The message comes from coved, which is trusted, but a wrong
 * one is refused and not guessed at.
 */
#ifndef DEVICES_BIRTH_H
#define DEVICES_BIRTH_H

#include "base/err.h"
#include "wire/birth.h"

/* Descriptors are -1 when they were not given. */
struct birth {
	char *name;
	int fs_sock;
	int vsock_sock;
	int vsock_listen;
	int run_dir;
	int console;
	int console_log;
	uint32_t guest_uid;
	uint32_t guest_gid;
	struct birth_export exports[BIRTH_EXPORTS];
	size_t n_exports;
};

/* Owns what it read, also after a failure: always birth_done(). */
int birth_receive(struct birth *b, int sock, struct err *err);
void birth_done(struct birth *b);

#endif
