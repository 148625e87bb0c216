/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - what coved hands cove-vmm at birth, checked and typed. The message
 * comes from coved, which is trusted to mean well but not to be without bugs:
 * a malformed one is refused with a text. Owns all descriptors that came.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "base/err.h"
#include "wire/birth.h"

struct config_disk {
	int fd;
	char serial[21];
	bool read_only;
};

struct vmm_config {
	char *name;
	int kvm;
	int kernel;
	int initrd; /* -1: none */
	char *cmdline;
	uint64_t memory;
	uint32_t cpus;
	uint32_t boot; /* 0 Linux, 1 PVH */
	struct config_disk disk[BIRTH_DISKS];
	size_t n_disks;
	int vsock_listen; /* -1: no vsock device */
	int run_dir;
	int console_log; /* -1: output is dropped */
	int control;     /* -1: none */
	int status;      /* -1: none */
	int state;       /* of a snapshot; -1: boot */
	int state_ram;
	struct birth_export export[BIRTH_EXPORTS];
	size_t n_exports; /* 0: no fs device */
	uint32_t guest_uid;
	uint32_t guest_gid;
};

/*
 * Waits for the one message on the socket. 0, or -errno with text; then
 * nothing is left open.
 */
int config_receive(int sock, struct vmm_config *ret, struct err *err);
void config_done(struct vmm_config *c);

#endif
