/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/confine.h"

#include "base/fd.h"
#include "jail/jail.h"
#include "wire/agent.h"

#include <stdio.h>

static size_t kept(const struct vmm_config *c, int *fds)
{
	const int all[] = {c->kvm, c->kernel, c->initrd, c->vsock_listen,
		c->run_dir, c->console_log, c->control, c->status, c->state,
		c->state_ram};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			fds[n++] = all[i];
	for (size_t i = 0; i < c->n_disks; i++)
		fds[n++] = c->disk[i].fd;
	for (size_t i = 0; i < c->n_exports; i++)
		fds[n++] = c->export[i].fd;
	return n;
}

/* Names inside the jail are ours; what the guest sees is fs_export()'s. */
static void visible(const struct vmm_config *c, char names[BIRTH_EXPORTS][8],
	struct jail_files *f)
{
	for (size_t i = 0; i < c->n_exports; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "x%u",
			(unsigned)(i % BIRTH_EXPORTS));
		f->entry[f->n++] = (struct jail_entry){&c->export[i].fd,
			names[i], c->export[i].flags & AMF_RO};
	}
	if (c->run_dir >= 0)
		f->entry[f->n++] =
			(struct jail_entry){&c->run_dir, "run", true};
}

int confine_process(struct vmm_config *cfg, int birth_fd, struct err *err)
{
	char names[BIRTH_EXPORTS][8];
	int keep[FD_PASS_MAX + 1];
	struct jail_files files = {.n = 0};
	size_t n = kept(cfg, keep);
	int r;

	keep[n++] = birth_fd;
	r = jail_fds(keep, n, err);
	if (r < 0)
		return r;
	visible(cfg, names, &files);
	return jail_enter(&files,
		geteuid() == 0 && cfg->n_exports > 0 ? jail_file_capabilities
						     : 0,
		err);
}

int confine_threads(struct err *err)
{
	return jail_syscalls(JAIL_VMM, err);
}

int confine_vcpu(void)
{
	return jail_syscalls(JAIL_VCPU, NULL);
}
