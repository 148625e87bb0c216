/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/birth.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>

static int read_field(void *arg, const struct tlv *t, struct birth_fds *p)
{
	struct birth *b = arg;

	switch (t->tag) {
	case BT_NAME:
		return birth_str(t, 255, &b->name);
	case BT_FS_SOCKET:
		return birth_claim(t, p, &b->fs_sock);
	case BT_VSOCK_SOCKET:
		return birth_claim(t, p, &b->vsock_sock);
	case BT_VSOCK_LISTEN:
		return birth_claim(t, p, &b->vsock_listen);
	case BT_RUN_DIR:
		return birth_claim(t, p, &b->run_dir);
	case BT_CONSOLE:
		return birth_claim(t, p, &b->console);
	case BT_CONSOLE_LOG:
		return birth_claim(t, p, &b->console_log);
	case BT_EXPORT:
		return birth_export(t, p, b->exports, &b->n_exports);
	case BT_GUEST_UID:
		return tlv_u32(t, &b->guest_uid);
	case BT_GUEST_GID:
		return tlv_u32(t, &b->guest_gid);
	default:
		return 0; /* from a newer coved */
	}
}

int birth_receive(struct birth *b, int sock, struct err *err)
{
	*b = (struct birth){.fs_sock = -1,
		.vsock_sock = -1,
		.vsock_listen = -1,
		.run_dir = -1,
		.console = -1,
		.console_log = -1};
	return birth_read(sock, "cove-devices", read_field, b, err);
}

void birth_done(struct birth *b)
{
	int *fds[] = {&b->fs_sock, &b->vsock_sock, &b->vsock_listen,
		&b->run_dir, &b->console, &b->console_log};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		closep(fds[i]);
	birth_exports_done(b->exports, &b->n_exports);
	free(TAKE_PTR(b->name));
}
