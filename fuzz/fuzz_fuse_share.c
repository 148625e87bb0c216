/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's agent may send on the share stream: the input, cut into
 * pieces, while the host changes a file the guest has cached.
 */
#include "base/fd.h"
#include "fs/fs.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static struct fs *fs;
static struct loop loop;
static struct timer stop;
static char top[64];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_stop(struct loop *l, struct timer *t)
{
	loop_stop(l, 0);
}

static void spin(void)
{
	loop_timer(&loop, &stop, 1, on_stop);
	loop.stopped = false;
	loop_run(&loop);
}

static void change(void)
{
	char p[128];
	int fd;

	snprintf(p, sizeof(p), "%s/f", top);
	unlink(p);
	fd = open(p, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		abort();
	close(fd);
}

static void remove_all(void)
{
	char p[128];

	snprintf(p, sizeof(p), "%s/f", top);
	unlink(p);
	rmdir(top);
}

static void request(uint32_t op, uint64_t node, const void *arg, size_t len)
{
	uint8_t in[256], out[512];
	struct fuse_in_header h = {.len = (uint32_t)(sizeof(h) + len),
		.opcode = op,
		.nodeid = node};
	struct iovec vi = {in, h.len}, vo = {out, sizeof(out)};

	memcpy(in, &h, sizeof(h));
	memcpy(in + sizeof(h), arg, len);
	(void)fs_request(fs, 0, &vi, 1, &vo, 1);
}

static void setup(void)
{
	struct fuse_init_in in = {.major = 7, .minor = 37};
	struct err err;
	int fd;

	snprintf(top, sizeof(top), "/dev/shm/cove-fuzz.XXXXXX");
	if (!mkdtemp(top))
		abort();
	atexit(remove_all);
	fd = open(top, O_PATH | O_CLOEXEC);
	if (loop_init(&loop) < 0 || fs_new(&fs_config_default, &fs, &err) < 0 ||
		fs_export(fs, "0", fd, 0, &err) < 0 ||
		fs_watch(fs, &loop, &err) < 0)
		abort();
	request(FUSE_INIT, 0, &in, sizeof(in));
}

static void settled(void *arg)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* REVOKED of frame 1: leases are on, whatever comes then. */
	static const uint8_t yes[] = {16, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 8, 0,
		0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
	int sv[2];

	if (!fs)
		setup();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	fs_share(fs, sv[0]);
	(void)fd_write_all(sv[1], yes, sizeof(yes));
	spin();
	change();
	request(FUSE_LOOKUP, FUSE_ROOT_ID, "0", 2);
	change();
	(void)fs_settle(fs, settled, NULL);
	for (size_t at = 0; at < size;) {
		size_t n = MIN(size - at, 1 + (size_t)data[at] % 64);

		if (send(sv[1], data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		at += n;
		spin();
	}
	close(sv[1]);
	spin();
	return 0;
}
