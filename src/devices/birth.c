/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/birth.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>

static int read_export(
	struct birth *b, const struct tlv *t, struct birth_fds *p)
{
	struct tlv_iter it = tlv_iter(t->p, t->len);
	struct birth_export *e = &b->exports[b->n_exports];
	struct tlv f;
	int r;

	if (b->n_exports == BIRTH_EXPORTS)
		return -EBADMSG;
	*e = (struct birth_export){.fd = -1};
	b->n_exports++;
	while ((r = tlv_next(&it, &f)) > 0) {
		if (f.tag == BE_FD)
			r = birth_claim(&f, p, &e->fd);
		else if (f.tag == BE_NAME && !e->name)
			r = tlv_str(&f, 255, &e->name);
		else if (f.tag == BE_FLAGS)
			r = tlv_u32(&f, &e->flags);
		if (r < 0)
			return r;
	}
	return r < 0 || e->fd < 0 || !e->name ? -EBADMSG : 0;
}

static int read_field(struct birth *b, const struct tlv *t, struct birth_fds *p)
{
	uint32_t version;

	switch (t->tag) {
	case BT_VERSION:
		return tlv_u32(t, &version) < 0 || version != WIRE_VERSION
			? -EPROTO
			: 0;
	case BT_NAME:
		return b->name ? -EBADMSG : tlv_str(t, 255, &b->name);
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
		return read_export(b, t, p);
	case BT_GUEST_UID:
		return tlv_u32(t, &b->guest_uid);
	case BT_GUEST_GID:
		return tlv_u32(t, &b->guest_gid);
	default:
		return 0; /* from a newer coved */
	}
}

static int read_all(struct birth *b, struct tlv_iter it, struct birth_fds *p)
{
	struct tlv t;
	int r;

	while ((r = tlv_next(&it, &t)) > 0) {
		r = read_field(b, &t, p);
		if (r < 0)
			return r;
	}
	return r;
}

int birth_receive(struct birth *b, int sock, struct err *err)
{
	_cleanup_birth_fds_ struct birth_fds p = {.n = 0};
	_cleanup_free_ uint8_t *msg = xcalloc(BIRTH_MAX, 1);
	ssize_t n;
	int r;

	*b = (struct birth){.fs_sock = -1,
		.vsock_sock = -1,
		.vsock_listen = -1,
		.run_dir = -1,
		.console = -1,
		.console_log = -1};
	n = sock_recv_fds(sock, msg, BIRTH_MAX, p.fd, FD_PASS_MAX, &p.n);
	if (n <= 0)
		return err_sys(err, n ? (int)-n : EPIPE,
			"no configuration on descriptor %d: cove-devices is "
			"started by coved",
			sock);
	r = read_all(b, tlv_iter(msg, (size_t)n), &p);
	if (r < 0)
		return err_sys(err, -r, "bad configuration message");
	return 0;
}

void birth_done(struct birth *b)
{
	int *fds[] = {&b->fs_sock, &b->vsock_sock, &b->vsock_listen,
		&b->run_dir, &b->console, &b->console_log};

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		closep(fds[i]);
	for (size_t i = 0; i < b->n_exports; i++) {
		closep(&b->exports[i].fd);
		free(b->exports[i].name);
	}
	b->n_exports = 0;
	free(TAKE_PTR(b->name));
}
