/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server - the devices of one sandbox behind QEMU: file system, vsock and the
 * log of its console, put together from what coved handed over.
 */
#ifndef DEVICES_SERVER_H
#define DEVICES_SERVER_H

#include "devices/birth.h"
#include "devices/console.h"
#include "devices/vhu.h"
#include "virtio/share.h"

struct server {
	struct loop loop;
	struct birth birth;
	struct share share;
	struct vhu vhu_fs;
	struct vhu vhu_vsock;
	struct console console;
	bool has_loop;
	unsigned front_ends; /* still connected */
};

/* In this order; each is 0 or -errno with text. */
int server_jail(struct server *s, int birth_fd, struct err *err);
int server_build(struct server *s, struct err *err);
/* Returns when both front ends are gone, or on SIGTERM. */
int server_run(struct server *s);
void server_done(struct server *s);

#endif
