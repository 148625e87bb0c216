/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor of our own: cove-vmm, one process with all devices. */
#include "daemon/engine_internal.h"

#include "daemon/cmdline.h"

#include "wire/agent.h"
#include <fcntl.h>

/*
 * Nothing is probed that does not exist; reboot=a is the ACPI reset register,
 * so that a triple fault is known to be one (docs/vmm.md). pci=conf1,noearly: there
 * is a way to ask for PCI devices, and no need to try what answers.
 */
static const char cmdline[] = "reboot=a pci=conf1,noearly " CMDLINE_COMMON;

static int disk(struct birth *b, const char *path, const char *serial, bool ro,
	struct err *err)
{
	size_t mark = tlv_begin(&b->msg, BT_VMM_DISK);
	int r = birth_open(b, BD_FD, path, ro ? O_RDONLY : O_RDWR, err);

	if (r < 0)
		return r;
	tlv_put_str(&b->msg, BD_SERIAL, serial);
	tlv_put_u32(&b->msg, BD_FLAGS, ro ? BDF_RO : 0);
	tlv_end(&b->msg, mark);
	return 0;
}

static int machine(
	struct birth *b, const struct engine_config *cfg, struct err *err)
{
	_cleanup_free_ char *status =
		xasprintf("%s/engine.status", cfg->run_dir);
	int r = birth_open(b, BT_VMM_KVM, "/dev/kvm", O_RDWR, err);

	r = r ? r : birth_open(b, BT_VMM_KERNEL, cfg->vmlinux, O_RDONLY, err);
	r = r ? r : birth_open(b, BT_VMM_INITRD, cfg->initrd, O_RDONLY, err);
	r = r ? r
	      : birth_open(b, BT_VMM_STATUS, status,
			O_WRONLY | O_CREAT | O_TRUNC, err);
	if (r < 0)
		return r;
	tlv_put_str(&b->msg, BT_VMM_CMDLINE, cmdline);
	tlv_put_u64(&b->msg, BT_VMM_MEMORY, cfg->memory);
	tlv_put_u32(&b->msg, BT_VMM_CPUS, cfg->cpus);
	return 0;
}

int vmm_spawn(const struct engine_config *cfg, spawn_record_fn *record,
	void *arg, struct proc_id *ret_id, int *ret_pidfd, struct err *err)
{
	_cleanup_free_ char *log = xasprintf("%s/engine.log", cfg->run_dir);
	_cleanup_(birth_done) struct birth b;
	int r;

	birth_init(&b, cfg);
	r = machine(&b, cfg, err);
	r = r ? r : disk(&b, cfg->root, DISK_ROOT, true, err);
	r = r ? r : disk(&b, cfg->disk, DISK_UPPER, false, err);
	r = r ? r : disk(&b, cfg->docker_disk, DISK_DOCKER, false, err);
	r = r ? r : birth_common(&b, cfg, err);
	return r < 0 ? r
		     : birth_spawn(&b, "cove-vmm", log, record, arg, ret_id,
			       ret_pidfd, err);
}
