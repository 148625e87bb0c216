/* SPDX-License-Identifier: Apache-2.0 */
#include "vsock_bed.h"

#include "cm.h"

#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ROUNDS 50

static void on_notify(struct vdev_host *h, unsigned q)
{
	container_of(h, struct bed, host)->notified[q]++;
}

static void on_failed(struct vdev_host *h, unsigned q)
{
	container_of(h, struct bed, host)->failed++;
}

static void make_dir(struct bed *b)
{
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/cove-vsock-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->dir_fd = open(b->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(b->dir_fd >= 0);
	b->listen_fd = sock_listen_at(b->dir_fd, "vsock.sock", 0600);
	assert_true(b->listen_fd >= 0);
}

static void start_queue(struct bed *b, unsigned q, struct driver *d)
{
	assert_int_equal(vdev_queue_start(vsock_dev(b->vs), q, b->ram.gm,
				 &d->cfg, 0, -1),
		0);
}

void bed_init(struct bed *b, unsigned n_rx)
{
	struct vdev *d;

	memset(b, 0, sizeof(*b));
	b->host = (struct vdev_host){on_notify, on_failed};
	ram_init(&b->ram);
	driver_init(&b->rx, &b->ram, 256);
	driver_init(&b->tx, &b->ram, 256);
	driver_init(&b->ev, &b->ram, 8);
	b->tx_buf = ram_alloc(&b->ram, 512u << 10, 16);
	for (unsigned i = 0; i < ARRAY_SIZE(b->rx_buf); i++)
		b->rx_buf[i] = ram_alloc(&b->ram, BED_RX_LEN, 4);
	make_dir(b);
	assert_int_equal(loop_init(&b->loop), 0);
	assert_int_equal(
		vsock_new(&b->loop, b->listen_fd, b->dir_fd, &b->vs), 0);
	d = vsock_dev(b->vs);
	d->host = &b->host;
	assert_int_equal(vdev_ack_features(d,
				 1ull << VIRTIO_F_VERSION_1 |
					 1ull << VIRTIO_RING_F_INDIRECT_DESC),
		0);
	start_queue(b, VSOCK_Q_RX, &b->rx);
	start_queue(b, VSOCK_Q_TX, &b->tx);
	start_queue(b, VSOCK_Q_EVENT, &b->ev);
	bed_offer(b, n_rx);
}

void bed_done(struct bed *b)
{
	_cleanup_free_ char *rm = xasprintf("rm -rf %s", b->dir);

	for (unsigned i = 0; i < 3; i++)
		vdev_queue_stop(vsock_dev(b->vs), i);
	vsock_free(b->vs);
	loop_done(&b->loop);
	close(b->listen_fd);
	close(b->dir_fd);
	assert_int_equal(system(rm), 0);
	ram_done(&b->ram);
}

static void on_stop(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

/* A queued task makes the loop look for events without waiting for any. */
void bed_run(struct bed *b)
{
	for (int i = 0; i < ROUNDS; i++) {
		loop_defer(&b->loop, &b->stop, on_stop);
		assert_int_equal(loop_run(&b->loop), 0);
	}
}

void bed_offer(struct bed *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint16_t at = b->rx.next_desc;
		const struct part p = {b->rx_buf[at], BED_RX_LEN, true};

		driver_offer(&b->rx, driver_chain(&b->rx, &p, 1));
	}
	vdev_kick(vsock_dev(b->vs), VSOCK_Q_RX);
}

void bed_send_raw(struct bed *b, const void *head, uint32_t head_len,
	const void *data, uint32_t len)
{
	const struct part p[] = {
		{b->tx_buf, head_len, false}, {b->tx_buf + 4096, len, false}};
	uint32_t id, used;

	memcpy(ram_at(&b->ram, b->tx_buf), head, head_len);
	if (len)
		memcpy(ram_at(&b->ram, b->tx_buf + 4096), data, len);
	driver_offer(&b->tx, driver_chain(&b->tx, p, len ? 2 : 1));
	vdev_kick(vsock_dev(b->vs), VSOCK_Q_TX);
	while (driver_used(&b->tx, &id, &used))
		assert_int_equal(used, 0);
	bed_run(b);
}

void bed_send(struct bed *b, uint16_t op, uint32_t guest_port,
	uint32_t host_port, uint32_t flags, const void *data, uint32_t len)
{
	const struct virtio_vsock_hdr h = {
		.src_cid = 3,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.flags = flags,
		.buf_alloc = 1u << 20,
	};

	bed_send_raw(b, &h, sizeof(h), data, len);
}

bool bed_recv(struct bed *b, struct packet *ret)
{
	uint32_t id, len;
	const uint8_t *p;

	if (!driver_used(&b->rx, &id, &len))
		return false;
	assert_true(id < 256 && len <= BED_RX_LEN);
	memset(ret, 0, sizeof(*ret));
	if (len < sizeof(ret->h))
		return true;
	p = ram_at(&b->ram, b->rx_buf[id]);
	memcpy(&ret->h, p, sizeof(ret->h));
	assert_int_equal(len, sizeof(ret->h) + ret->h.len);
	memcpy(ret->data, p + sizeof(ret->h), ret->h.len);
	assert_int_equal(ret->h.src_cid, 2);
	assert_int_equal(ret->h.dst_cid, 3);
	return true;
}

void bed_expect(struct bed *b, uint16_t op, struct packet *ret)
{
	bed_run(b);
	assert_true(bed_recv(b, ret));
	assert_int_equal(ret->h.op, op);
}

void bed_expect_nothing(struct bed *b)
{
	struct packet p;

	bed_run(b);
	assert_false(bed_recv(b, &p));
}

int bed_dial(struct bed *b, uint32_t port)
{
	_cleanup_free_ char *line = xasprintf("CONNECT %u\n", port);
	int fd = sock_connect_at(b->dir_fd, "vsock.sock");

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, line, strlen(line)), 0);
	bed_run(b);
	return fd;
}

int bed_connect(struct bed *b, uint32_t port, uint32_t *ret_host_port)
{
	int fd = bed_dial(b, port);
	char ok[64] = "", want[64];
	struct packet p;

	bed_expect(b, VIRTIO_VSOCK_OP_REQUEST, &p);
	assert_int_equal(p.h.dst_port, port);
	bed_send(b, VIRTIO_VSOCK_OP_RESPONSE, port, p.h.src_port, 0, NULL, 0);
	(void)snprintf(want, sizeof(want), "OK %u\n", p.h.src_port);
	assert_int_equal(bed_read(fd, ok, sizeof(ok) - 1), strlen(want));
	assert_string_equal(ok, want);
	*ret_host_port = p.h.src_port;
	return fd;
}

int bed_listen(struct bed *b, uint32_t port)
{
	_cleanup_free_ char *name = xasprintf("vsock.sock_%u", port);
	int fd = sock_listen_at(b->dir_fd, name, 0600);

	assert_true(fd >= 0);
	return fd;
}

ssize_t bed_read(int fd, void *p, size_t len)
{
	ssize_t n = recv(fd, p, len, MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}
