/* SPDX-License-Identifier: Apache-2.0 */
/* The message and the descriptors a child is born with (wire/birth.h). */
#include "daemon/engine_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#define GUEST_UID 1000u

void birth_init(struct birth *b, const struct engine_config *cfg)
{
	*b = (struct birth){0};
	buf_init(&b->msg, BIRTH_MAX);
	tlv_put_u32(&b->msg, BT_VERSION, WIRE_VERSION);
	tlv_put_str(&b->msg, BT_NAME, cfg->name);
}

void birth_done(struct birth *b)
{
	buf_done(&b->msg);
	for (size_t i = 0; i < b->n_own; i++)
		closep(&b->own[i]);
}

void birth_fd(struct birth *b, uint16_t tag, int fd)
{
	assert(b->n_fds < ARRAY_SIZE(b->fds));
	tlv_put_u32(&b->msg, tag, (uint32_t)b->n_fds);
	b->fds[b->n_fds++] = fd;
}

void birth_own_fd(struct birth *b, uint16_t tag, int fd)
{
	assert(b->n_own < ARRAY_SIZE(b->own));
	b->own[b->n_own++] = fd;
	birth_fd(b, tag, fd);
}

int birth_open(struct birth *b, uint16_t tag, const char *path, int flags,
	struct err *err)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	birth_own_fd(b, tag, fd);
	return 0;
}

static void exports(struct birth *b, const struct engine_config *cfg)
{
	char name[16];
	size_t mark;

	for (size_t i = 0; i < cfg->n_exports; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		mark = tlv_begin(&b->msg, BT_EXPORT);
		birth_fd(b, BE_FD, cfg->exports[i].fd);
		tlv_put_str(&b->msg, BE_NAME, name);
		tlv_put_u32(&b->msg, BE_FLAGS, cfg->exports[i].flags);
		tlv_end(&b->msg, mark);
	}
}

int birth_common(
	struct birth *b, const struct engine_config *cfg, struct err *err)
{
	_cleanup_free_ char *console =
		xasprintf("%s/console.log", cfg->run_dir);
	int dir, fd, r;

	r = birth_open(b, BT_RUN_DIR, cfg->run_dir, O_PATH | O_DIRECTORY, err);
	if (r == 0)
		r = birth_open(b, BT_CONSOLE_LOG, console,
			O_RDWR | O_CREAT | O_TRUNC, err);
	if (r < 0)
		return r;
	dir = b->own[b->n_own - 2];
	(void)unlinkat(dir, "vsock.sock", 0);
	fd = sock_listen_at(dir, "vsock.sock", 0600);
	if (fd < 0)
		return err_sys(
			err, -fd, "listen on %s/vsock.sock", cfg->run_dir);
	birth_own_fd(b, BT_VSOCK_LISTEN, fd);
	tlv_put_u32(&b->msg, BT_GUEST_UID, GUEST_UID);
	tlv_put_u32(&b->msg, BT_GUEST_GID, GUEST_UID);
	exports(b, cfg);
	return 0;
}

int birth_spawn(const struct birth *b, const char *program_name,
	const char *log_path, spawn_record_fn *record, void *arg,
	struct proc_id *ret_id, int *ret_pidfd, struct err *err)
{
	_cleanup_close_ int parent = -1;
	_cleanup_close_ int child = -1;
	int sv[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "socketpair");
	parent = sv[0];
	child = sv[1];
	r = sock_send_fds(
		parent, buf_head(&b->msg), buf_len(&b->msg), b->fds, b->n_fds);
	if (r < 0)
		return err_sys(err, -r, "configure %s", program_name);
	return spawn_program(program_name, child, log_path, O_TRUNC, record,
		arg, ret_id, ret_pidfd, err);
}
