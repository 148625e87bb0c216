/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/config.h"

#include "base/fd.h"
#include "vmm/layout.h"
#include "wire/agent.h"

#include <errno.h>
#include <string.h>

static int bad(struct err *err, const char *what)
{
	return err_set(err, EBADMSG, "birth message: bad %s", what);
}

static int parse_disk_field(
	struct birth_fds *b, const struct tlv *t, struct config_disk *d)
{
	uint32_t flags;

	switch (t->tag) {
	case BD_FD:
		return birth_claim(t, b, &d->fd);
	case BD_SERIAL:
		if (t->len >= sizeof(d->serial))
			return -EBADMSG;
		memcpy(d->serial, t->p, t->len);
		return 0;
	case BD_FLAGS:
		if (tlv_u32(t, &flags) < 0)
			return -EBADMSG;
		d->read_only = flags & BDF_RO;
		return 0;
	default:
		return 0;
	}
}

static int parse_disk(
	struct birth_fds *b, const struct tlv *t, struct vmm_config *c)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct config_disk *d = &c->disk[c->n_disks];
	struct tlv f;
	int r;

	if (c->n_disks == BIRTH_DISKS)
		return -EBADMSG;
	*d = (struct config_disk){.fd = -1};
	c->n_disks++; /* so that config_done() closes it */
	while ((r = tlv_next(&it, &f)) > 0) {
		r = parse_disk_field(b, &f, d);
		if (r < 0)
			return r;
	}
	return r < 0 || d->fd < 0 ? -EBADMSG : 0;
}

static int parse_field(void *arg, const struct tlv *t, struct birth_fds *b)
{
	struct vmm_config *c = arg;

	switch (t->tag) {
	case BT_NAME:
		return birth_str(t, 255, &c->name);
	case BT_VMM_KVM:
		return birth_claim(t, b, &c->kvm);
	case BT_VMM_KERNEL:
		return birth_claim(t, b, &c->kernel);
	case BT_VMM_INITRD:
		return birth_claim(t, b, &c->initrd);
	case BT_VMM_CMDLINE:
		return birth_str(t, CMDLINE_MAX - 1, &c->cmdline);
	case BT_VMM_MEMORY:
		return tlv_u64(t, &c->memory);
	case BT_VMM_CPUS:
		return tlv_u32(t, &c->cpus);
	case BT_VMM_DISK:
		return parse_disk(b, t, c);
	case BT_VMM_BOOT:
		return tlv_u32(t, &c->boot);
	case BT_VMM_CONTROL:
		return birth_claim(t, b, &c->control);
	case BT_VMM_STATUS:
		return birth_claim(t, b, &c->status);
	case BT_VMM_STATE:
		return birth_claim(t, b, &c->state);
	case BT_VMM_STATE_RAM:
		return birth_claim(t, b, &c->state_ram);
	case BT_VSOCK_LISTEN:
		return birth_claim(t, b, &c->vsock_listen);
	case BT_RUN_DIR:
		return birth_claim(t, b, &c->run_dir);
	case BT_CONSOLE_LOG:
		return birth_claim(t, b, &c->console_log);
	case BT_EXPORT:
		return birth_export(t, b, c->export, &c->n_exports);
	case BT_GUEST_UID:
		return tlv_u32(t, &c->guest_uid);
	case BT_GUEST_GID:
		return tlv_u32(t, &c->guest_gid);
	default:
		return 0;
	}
}

static int check(const struct vmm_config *c, struct err *err)
{
	if (c->kvm < 0)
		return bad(err, "message: no /dev/kvm");
	if ((c->state < 0) != (c->state_ram < 0))
		return bad(err, "snapshot: half of it is missing");
	if (c->state < 0 && (c->kernel < 0 || !c->cmdline))
		return bad(err, "message: no kernel or no command line");
	if (c->cpus < 1 || c->cpus > VCPU_MAX)
		return err_set(err, EINVAL, "%u vCPUs are not possible (1-%u)",
			c->cpus, VCPU_MAX);
	if (c->boot > 1)
		return bad(err, "boot protocol");
	return 0;
}

static struct vmm_config empty(void)
{
	return (struct vmm_config){.kvm = -1,
		.kernel = -1,
		.initrd = -1,
		.cpus = 1,
		.vsock_listen = -1,
		.run_dir = -1,
		.console_log = -1,
		.control = -1,
		.status = -1,
		.state = -1,
		.state_ram = -1,
		.guest_uid = 1000,
		.guest_gid = 1000};
}

int config_receive(int sock, struct vmm_config *ret, struct err *err)
{
	struct vmm_config c = empty();
	int r = birth_read(sock, "cove-vmm", parse_field, &c, err);

	r = r ? r : check(&c, err);
	if (r < 0)
		config_done(&c);
	else
		*ret = c;
	return r;
}

void config_done(struct vmm_config *c)
{
	int *const fds[] = {&c->kvm, &c->kernel, &c->initrd, &c->vsock_listen,
		&c->run_dir, &c->console_log, &c->control, &c->status,
		&c->state, &c->state_ram};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		closep(fds[i]);
	for (size_t i = 0; i < c->n_disks; i++)
		closep(&c->disk[i].fd);
	birth_exports_done(c->export, &c->n_exports);
	free(TAKE_PTR(c->name));
	free(TAKE_PTR(c->cmdline));
}
