/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vsock device: the input is a script of what a guest and programs on the
 * host do, packets with every field included, over real sockets. Ports come
 * from a small set, so that packets meet connections.
 *
 * A command is one byte (what in the low four bits, which host socket in the
 * high ones) and its arguments.
 */
#include "base/fd.h"
#include "virtio/driver.h"
#include "virtio/vsock.h"
#include "virtio/vsock_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PORT 5u /* somebody listens at vsock.sock_5 */
#define SOCKETS 16
#define COMMANDS 150
#define RX_LEN 600u

struct fuzz {
	struct vdev_host host;
	struct loop loop;
	struct task stop;
	struct ram ram;
	struct driver rx, tx;
	struct vsock *vs;
	int sock[SOCKETS];
	uint64_t rx_buf, tx_buf;
	bool held;
	const uint8_t *p;
	size_t left;
};

static int dir_fd = -1, listen_fd, port_fd;

static void on_notify(struct vdev_host *h, unsigned q)
{
}

static bool on_hold(void *arg)
{
	return ((struct fuzz *)arg)->held;
}

static char dir[] = "/tmp/cove-fuzz-vsock-XXXXXX";

static void remove_dir(void)
{
	(void)unlinkat(dir_fd, "vsock.sock", 0);
	(void)unlinkat(dir_fd, "vsock.sock_5", 0);
	(void)rmdir(dir);
}

/* Sockets have names; the directory is made once for all inputs. */
static void make_dir(void)
{
	if (dir_fd >= 0)
		return;
	if (!mkdtemp(dir))
		abort();
	dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	listen_fd = sock_listen_at(dir_fd, "vsock.sock", 0600);
	port_fd = sock_listen_at(dir_fd, "vsock.sock_5", 0600);
	assert(dir_fd >= 0 && listen_fd >= 0 && port_fd >= 0);
	(void)fd_nonblock(port_fd, true);
	(void)atexit(remove_dir);
}

static uint8_t byte(struct fuzz *f)
{
	if (!f->left)
		return 0;
	f->left--;
	return *f->p++;
}

static uint32_t word(struct fuzz *f)
{
	uint32_t v = byte(f);

	return v | (uint32_t)byte(f) << 8;
}

static void start(struct fuzz *f)
{
	struct vdev *d = vsock_dev(f->vs);
	int r;

	f->ram.next = DRIVER_BASE;
	memset(f->ram.mem, 0, 8192); /* the rings */
	driver_init(&f->rx, &f->ram, 64);
	driver_init(&f->tx, &f->ram, 64);
	f->rx_buf = ram_alloc(&f->ram, 64 * RX_LEN, 4);
	f->tx_buf = ram_alloc(&f->ram, 128u << 10, 4);
	r = vdev_ack_features(d, VDEV_FEATURES & ~(1ull << 29));
	assert(r == 0);
	r = vdev_queue_start(d, 0, f->ram.gm, &f->rx.cfg, 0, -1);
	assert(r == 0);
	r = vdev_queue_start(d, 1, f->ram.gm, &f->tx.cfg, 0, -1);
	assert(r == 0);
}

static void on_stop(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void run(struct fuzz *f)
{
	for (int i = 0; i < 3; i++) {
		loop_defer(&f->loop, &f->stop, on_stop);
		(void)loop_run(&f->loop);
	}
}

/* The last port that the device chose itself, to answer it. */
static uint32_t our_port(struct fuzz *f, uint8_t how)
{
	return how < 8 ? f->vs->next_port - 1 - how : how;
}

static void send_packet(struct fuzz *f)
{
	uint8_t kind = byte(f);
	struct virtio_vsock_hdr h = {.src_cid = 3, .dst_cid = 2, .type = 1};
	struct part part[2];

	h.op = kind & 15;
	h.src_port = byte(f) & 3;
	h.dst_port = our_port(f, byte(f));
	h.flags = byte(f);
	h.len = word(f) + (kind & 16 ? 65536u : 0);
	h.buf_alloc = word(f) << (kind >> 5);
	h.fwd_cnt = word(f);
	if (h.flags & 128)
		h.type = (uint16_t)byte(f);
	if (h.flags & 64)
		h.dst_cid = byte(f);
	memcpy(ram_at(&f->ram, f->tx_buf), &h, sizeof(h));
	part[0] = (struct part){f->tx_buf, 44, false};
	part[1] = (struct part){f->tx_buf + 4096, h.len, false};
	if (h.flags & 32)
		part[1].len = word(f); /* not what the head says */
	if (h.flags & 16)
		part[0].len = byte(f);
	driver_offer(&f->tx, driver_chain(&f->tx, part, part[1].len ? 2 : 1));
	vdev_kick(vsock_dev(f->vs), VSOCK_Q_TX);
}

static void offer_buffers(struct fuzz *f)
{
	unsigned n = byte(f) & 31;
	uint32_t len = n & 16 ? byte(f) : RX_LEN;

	while (n--) {
		uint16_t at = f->rx.next_desc;
		const struct part p = {f->rx_buf + RX_LEN * at, len, true};

		driver_offer(&f->rx, driver_chain(&f->rx, &p, 1));
	}
	vdev_kick(vsock_dev(f->vs), VSOCK_Q_RX);
}

static void take_packets(struct fuzz *f)
{
	struct virtio_vsock_hdr h;
	uint32_t id, len;

	while (driver_used(&f->rx, &id, &len)) {
		assert(id < 64 && (len == 0 || len >= sizeof(h)));
		memcpy(&h, ram_at(&f->ram, f->rx_buf + RX_LEN * id), sizeof(h));
		if (!len || h.op != VIRTIO_VSOCK_OP_RW)
			continue;
		assert(h.src_cid == 2 && h.dst_cid == 3);
		assert(len == sizeof(h) + h.len && len <= RX_LEN);
	}
	while (driver_used(&f->tx, &id, &len))
		assert(len == 0);
}

static void host_dials(struct fuzz *f, int *fd)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "CONNECT %u\n", byte(f) & 3u);

	closep(fd);
	*fd = sock_connect_at(dir_fd, "vsock.sock");
	(void)fd_nonblock(*fd, true);
	(void)!write(*fd, line, (size_t)n);
}

static void host_says_rubbish(struct fuzz *f, int *fd)
{
	size_t n = MIN(f->left, (size_t)(byte(f) & 63));

	closep(fd);
	*fd = sock_connect_at(dir_fd, "vsock.sock");
	(void)fd_nonblock(*fd, true);
	(void)!send(*fd, f->p, MIN(n, f->left), MSG_NOSIGNAL);
}

static void command(struct fuzz *f)
{
	static char bulk[65536];
	uint8_t c = byte(f);
	int *fd = &f->sock[c >> 4];

	switch (c & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		send_packet(f);
		break;
	case 4:
		offer_buffers(f);
		break;
	case 5:
		host_dials(f, fd);
		break;
	case 6:
		(void)!send(*fd, bulk, word(f), MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 7:
		(void)!recv(*fd, bulk, word(f), MSG_DONTWAIT);
		break;
	case 8:
		(void)shutdown(*fd, byte(f) % 3);
		break;
	case 9:
		closep(fd);
		break;
	case 10:
		closep(fd);
		*fd = accept4(port_fd, NULL, NULL, SOCK_CLOEXEC);
		break;
	case 11:
		closep(fd);
		*fd = vsock_connect_local(f->vs, byte(f) & 3);
		break;
	case 12:
		f->held = byte(f) & 1;
		if (!f->held)
			vsock_release(f->vs);
		break;
	case 13:
		host_says_rubbish(f, fd);
		break;
	case 14:
		if (byte(f) & 1)
			vsock_transport_reset(f->vs);
		vdev_reset(vsock_dev(f->vs));
		start(f);
		break;
	default:
		run(f);
		break;
	}
	take_packets(f);
}

static void drop_backlog(void)
{
	int fd;

	while ((fd = accept4(port_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

/* The table of connections is large, so the device lives on, reset. */
static void make_device(struct fuzz *f)
{
	int r;

	make_dir();
	memset(f->sock, 0xff, sizeof(f->sock));
	ram_init(&f->ram);
	r = loop_init(&f->loop);
	assert(r == 0);
	r = vsock_new(&f->loop, listen_fd, dir_fd, &f->vs);
	assert(r == 0);
	f->host = (struct vdev_host){on_notify, on_notify};
	vsock_dev(f->vs)->host = &f->host;
	vsock_set_hooks(
		f->vs, &(struct vsock_hooks){.hold = on_hold, .arg = f});
}

static void clean_up(struct fuzz *f)
{
	run(f);
	for (int i = 0; i < SOCKETS; i++)
		closep(&f->sock[i]);
	run(f);
	vdev_reset(vsock_dev(f->vs));
	f->held = false;
	assert(vsock_stats(f->vs)->conns == 0);
	assert(list_empty(&f->vs->run) && list_empty(&f->vs->closing));
	assert(f->vs->promised == 0 && f->vs->n_locals == 0);
	drop_backlog();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;

	if (!f.vs)
		make_device(&f);
	f.p = data;
	f.left = size;
	start(&f);
	for (int i = 0; i < COMMANDS && f.left; i++)
		command(&f);
	clean_up(&f);
	return 0;
}
