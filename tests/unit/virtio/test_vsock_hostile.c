/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device against guests that break rules, and at its limits. */
#include "cm.h"
#include "vsock_bed.h"

#include "base/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define OP(x) VIRTIO_VSOCK_OP_##x
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND
#define RCV VIRTIO_VSOCK_SHUTDOWN_RCV

static struct virtio_vsock_hdr head(uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = 3,
		.dst_cid = 2,
		.src_port = 1,
		.dst_port = 2,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
	};
}

static void test_short_packets(void **state)
{
	struct virtio_vsock_hdr h = head(OP(RW));
	struct bed b;

	bed_init(&b, 8);
	bed_send_raw(&b, &h, sizeof(h) - 1, NULL, 0);
	h.len = 100; /* but only 99 follow */
	bed_send_raw(&b, &h, sizeof(h), &b, 99);
	h.len = UINT32_MAX;
	bed_send_raw(&b, &h, sizeof(h), &b, 99);
	assert_int_equal(vsock_stats(b.vs)->dropped, 3);
	bed_expect_nothing(&b);
	bed_done(&b);
}

static void test_wrong_addresses(void **state)
{
	struct virtio_vsock_hdr h = head(OP(REQUEST));
	struct bed b;

	bed_init(&b, 8);
	h.src_cid = 4;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	h.src_cid = 3;
	h.dst_cid = 1;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	h.dst_cid = UINT64_MAX;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	assert_int_equal(vsock_stats(b.vs)->dropped, 3);
	bed_expect_nothing(&b);
	bed_done(&b);
}

/* The reset has the type of what it answers (section 5.10.6.4). */
static void test_other_types(void **state)
{
	struct virtio_vsock_hdr h = head(OP(REQUEST));
	struct packet p;
	struct bed b;
	int lfd;

	bed_init(&b, 8);
	lfd = bed_listen(&b, 2);
	h.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(p.h.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	close(lfd);
	bed_done(&b);
}

static void test_operations_out_of_place(void **state)
{
	static const uint16_t ops[] = {
		OP(INVALID), OP(REQUEST), OP(RESPONSE), 8, 99, 0xffff};
	struct packet p;
	struct bed b;
	uint32_t port;
	char c;

	bed_init(&b, 64);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = bed_connect(&b, 52, &port);

		bed_send(&b, ops[i], 52, port, 0, NULL, 0);
		bed_expect(&b, OP(RST), &p);
		assert_int_equal(bed_read(fd, &c, 1), 0);
		assert_int_equal(vsock_stats(b.vs)->violations, i + 1);
		close(fd);
	}
	bed_done(&b);
}

static void test_data_before_response(void **state)
{
	struct packet p;
	struct bed b;
	char c;
	int fd;

	bed_init(&b, 64);
	fd = bed_dial(&b, 52);
	bed_expect(&b, OP(REQUEST), &p);
	bed_send(&b, OP(RW), 52, p.h.src_port, 0, "x", 1);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	close(fd);
	bed_done(&b);
}

/*
 * A guest that asks for resets and takes none: after a while its packets stay
 * in the ring, and go on when it takes some.
 */
static void test_flood_of_strays(void **state)
{
	struct virtio_vsock_hdr h = head(OP(RW));
	struct packet p;
	struct bed b;
	unsigned n = 0;

	bed_init(&b, 0);
	for (unsigned i = 0; i < 200; i++) {
		const struct part part = {b.tx_buf + i * 64, sizeof(h), false};

		h.src_port = i;
		memcpy(ram_at(&b.ram, part.gpa), &h, sizeof(h));
		driver_offer(&b.tx, driver_chain(&b.tx, &part, 1));
	}
	vdev_kick(vsock_dev(b.vs), VSOCK_Q_TX);
	bed_run(&b);
	assert_true(vsock_stats(b.vs)->tx_packets < 200);
	for (int i = 0; i < 20; i++) {
		bed_offer(&b, 16);
		bed_run(&b);
		while (bed_recv(&b, &p)) {
			assert_int_equal(p.h.op, OP(RST));
			assert_int_equal(p.h.dst_port, n);
			n++;
		}
	}
	assert_int_equal(n, 200);
	bed_done(&b);
}

static void test_buffer_too_small(void **state)
{
	const struct part tiny = {DRIVER_BASE + 8192, 43, true};
	struct bed b;

	bed_init(&b, 0);
	driver_offer(&b.rx, driver_chain(&b.rx, &tiny, 1));
	vdev_kick(vsock_dev(b.vs), VSOCK_Q_RX);
	bed_dial(&b, 52); /* something to tell the guest */
	bed_run(&b);
	assert_int_equal(b.failed, 1);
	bed_done(&b);
}

/* Nobody on the host waits for a guest that broke its ring. */
static void test_broken_tx_ring(void **state)
{
	struct bed b;
	uint32_t port;
	char c;
	int fd;

	bed_init(&b, 8);
	fd = bed_connect(&b, 52, &port);
	driver_offer(&b.tx, 7000);
	vdev_kick(vsock_dev(b.vs), VSOCK_Q_TX);
	bed_run(&b);
	vdev_kick(vsock_dev(b.vs), VSOCK_Q_TX);
	bed_run(&b);
	assert_int_equal(b.failed, 1);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	close(fd);
	fd = bed_dial(&b, 52);
	assert_true(bed_read(fd, &c, 1) != -EAGAIN);
	close(fd);
	bed_done(&b);
}

static void test_before_the_driver(void **state)
{
	struct bed b;
	char c;
	int fd;

	bed_init(&b, 8);
	vdev_queue_stop(vsock_dev(b.vs), VSOCK_Q_RX);
	assert_int_equal(vsock_connect_local(b.vs, 5), -ENOTCONN);
	fd = bed_dial(&b, 52);
	assert_true(bed_read(fd, &c, 1) != -EAGAIN);
	close(fd);
	bed_done(&b);
}

/* A paused machine goes on with its connections. */
static void test_pause_keeps_connections(void **state)
{
	struct vdev *d;
	struct packet p;
	struct bed b;
	uint32_t port;
	uint16_t rx_at, tx_at;
	int fd;

	bed_init(&b, 16);
	d = vsock_dev(b.vs);
	fd = bed_connect(&b, 52, &port);
	rx_at = vdev_queue_stop(d, VSOCK_Q_RX);
	tx_at = vdev_queue_stop(d, VSOCK_Q_TX);
	assert_int_equal(write(fd, "meanwhile", 9), 9);
	bed_expect_nothing(&b);
	assert_int_equal(
		vdev_queue_start(d, VSOCK_Q_RX, b.ram.gm, &b.rx.cfg, rx_at, -1),
		0);
	assert_int_equal(
		vdev_queue_start(d, VSOCK_Q_TX, b.ram.gm, &b.tx.cfg, tx_at, -1),
		0);
	bed_expect(&b, OP(RW), &p);
	assert_memory_equal(p.data, "meanwhile", 9);
	close(fd);
	bed_done(&b);
}

static void test_driver_reset(void **state)
{
	struct bed b;
	uint32_t port;
	char c;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	vdev_reset(vsock_dev(b.vs));
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	assert_false(vsock_dev(b.vs)->q[0].vq.live);
	close(fd);
	bed_done(&b);
}

static void test_transport_reset(void **state)
{
	struct bed b;
	struct part p;
	uint32_t port, id, len;
	char c;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	p = (struct part){ram_alloc(&b.ram, 4, 4), 4, true};
	memset(ram_at(&b.ram, p.gpa), 0xff, 4);
	driver_offer(&b.ev, driver_chain(&b.ev, &p, 1));
	vsock_transport_reset(b.vs);
	assert_true(driver_used(&b.ev, &id, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(ram_at(&b.ram, p.gpa), "\0\0\0\0", 4);
	assert_int_equal(b.notified[VSOCK_Q_EVENT], 1);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	close(fd);
	bed_done(&b);
}

static void test_local_stream(void **state)
{
	struct packet p;
	struct bed b;
	char got[8];
	int fd;

	bed_init(&b, 16);
	fd = vsock_connect_local(b.vs, 1026);
	assert_true(fd >= 0);
	assert_int_equal(vsock_locals(b.vs), 1);
	bed_expect(&b, OP(REQUEST), &p);
	assert_int_equal(p.h.dst_port, 1026);
	bed_send(&b, OP(RESPONSE), 1026, p.h.src_port, 0, NULL, 0);
	assert_int_equal(bed_read(fd, got, 8), -EAGAIN); /* no "OK" here */
	bed_send(&b, OP(RW), 1026, p.h.src_port, 0, "hi", 2);
	assert_int_equal(bed_read(fd, got, 8), 2);
	assert_int_equal(write(fd, "ho", 2), 2);
	bed_expect(&b, OP(RW), &p);
	close(fd);
	bed_expect(&b, OP(SHUTDOWN), &p);
	bed_send(&b, OP(RST), 1026, p.h.src_port, 0, NULL, 0);
	assert_int_equal(vsock_locals(b.vs), 0);
	bed_done(&b);
}

struct gate {
	bool closed;
	unsigned asked;
	unsigned opened;
	bool from_guest;
	uint32_t port;
};

static bool ask_gate(void *arg)
{
	struct gate *g = arg;

	g->asked++;
	return g->closed;
}

static void on_opened(void *arg, bool from_guest, uint32_t port)
{
	struct gate *g = arg;

	g->opened++;
	g->from_guest = from_guest;
	g->port = port;
}

static void use_gate(struct bed *b, struct gate *g)
{
	vsock_set_hooks(b->vs,
		&(struct vsock_hooks){
			.opened = on_opened, .hold = ask_gate, .arg = g});
}

static void test_opened(void **state)
{
	struct gate g = {0};
	struct packet p;
	struct bed b;
	uint32_t port;
	int fd, lfd;

	bed_init(&b, 16);
	use_gate(&b, &g);
	fd = bed_dial(&b, 52);
	bed_expect(&b, OP(REQUEST), &p);
	assert_int_equal(g.opened, 0);
	bed_send(&b, OP(RST), 52, p.h.src_port, 0, NULL, 0);
	assert_int_equal(g.opened, 0);
	close(fd);
	fd = bed_connect(&b, 53, &port);
	assert_int_equal(g.opened, 1);
	assert_false(g.from_guest);
	assert_int_equal(g.port, 53);
	lfd = bed_listen(&b, 1024);
	bed_send(&b, OP(REQUEST), 900, 1024, 0, NULL, 0);
	assert_int_equal(g.opened, 2);
	assert_true(g.from_guest);
	assert_int_equal(g.port, 1024);
	close(fd);
	close(lfd);
	bed_done(&b);
}

/* Held bytes wait; control packets, the guest's bytes and local ones do not. */
static void test_hold(void **state)
{
	struct gate g = {.closed = true};
	struct packet p;
	struct bed b;
	uint32_t port, other;
	char got[8];
	int fd, fd2, local;

	bed_init(&b, 32);
	use_gate(&b, &g);
	fd = bed_connect(&b, 52, &port);
	fd2 = bed_connect(&b, 53, &other);
	local = vsock_connect_local(b.vs, 1026);
	bed_expect(&b, OP(REQUEST), &p);
	bed_send(&b, OP(RESPONSE), 1026, p.h.src_port, 0, NULL, 0);
	assert_int_equal(write(fd, "one", 3), 3);
	assert_int_equal(write(fd2, "two", 3), 3);
	bed_expect_nothing(&b);
	assert_int_equal(g.asked, 1);
	bed_send(&b, OP(RW), 52, port, 0, "up", 2);
	assert_int_equal(bed_read(fd, got, 8), 2);
	bed_send(&b, OP(CREDIT_REQUEST), 52, port, 0, NULL, 0);
	bed_expect(&b, OP(CREDIT_UPDATE), &p);
	assert_int_equal(write(local, "revoke", 6), 6);
	bed_expect(&b, OP(RW), &p);
	assert_int_equal(p.h.dst_port, 1026);
	g.closed = false;
	vsock_release(b.vs);
	bed_expect(&b, OP(RW), &p);
	assert_memory_equal(p.data, "one", 3);
	bed_expect(&b, OP(RW), &p);
	assert_memory_equal(p.data, "two", 3);
	assert_int_equal(g.asked, 2);
	bed_expect_nothing(&b);
	close(fd);
	close(fd2);
	close(local);
	bed_done(&b);
}

/* The guest resets the stream whose bytes are held: its buffer comes back. */
static void test_reset_while_held(void **state)
{
	struct gate g = {.closed = true};
	struct packet p;
	struct bed b;
	uint32_t port, id, len;
	int fd;

	bed_init(&b, 3); /* one is left when the bytes come */
	use_gate(&b, &g);
	fd = bed_connect(&b, 52, &port);
	assert_int_equal(write(fd, "one", 3), 3);
	bed_expect_nothing(&b);
	bed_send(&b, OP(RST), 52, port, 0, NULL, 0);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	vsock_release(b.vs);
	assert_true(driver_used(&b.rx, &id, &len));
	assert_int_equal(len, 0);
	close(fd);
	bed_offer(&b, 1);
	fd = bed_connect(&b, 54, &port);
	close(fd);
	bed_expect(&b, OP(SHUTDOWN), &p);
	bed_done(&b);
}

/* Pausing gives held buffers to the guest, so that none is lost. */
static void test_pause_while_held(void **state)
{
	struct gate g = {.closed = true};
	struct packet p;
	struct bed b;
	uint32_t port;
	int fd;

	bed_init(&b, 8);
	use_gate(&b, &g);
	fd = bed_connect(&b, 52, &port);
	assert_int_equal(write(fd, "one", 3), 3);
	bed_expect_nothing(&b);
	assert_int_equal(vdev_queue_stop(vsock_dev(b.vs), VSOCK_Q_RX), 2);
	assert_true(bed_recv(&b, &p));
	assert_memory_equal(p.data, "one", 3);
	close(fd);
	bed_done(&b);
}

static bool many_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return false;
	lim.rlim_cur = lim.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &lim) == 0 &&
		lim.rlim_max > 2 * VSOCK_CONNS + 64;
}

/* All slots taken: refusals, and room again when one ends. */
static void test_full_table(void **state)
{
	static int fds[VSOCK_CONNS];
	struct packet p;
	struct bed b;
	int extra;
	char c;

	if (!many_descriptors())
		skip(); /* the hard limit of descriptors is too low */
	bed_init(&b, 1);
	for (unsigned i = 0; i < VSOCK_CONNS; i++) {
		fds[i] = vsock_connect_local(b.vs, i);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(vsock_connect_local(b.vs, 5), -ENFILE);
	extra = bed_dial(&b, 52);
	assert_int_not_equal(bed_read(extra, &c, 1), -EAGAIN);
	bed_expect(&b, OP(REQUEST), &p);
	bed_send(&b, OP(RST), p.h.dst_port, p.h.src_port, 0, NULL, 0);
	assert_int_equal(vsock_stats(b.vs)->conns, VSOCK_CONNS - 1);
	closep(&extra);
	extra = vsock_connect_local(b.vs, 5);
	assert_true(extra >= 0);
	close(extra);
	for (unsigned i = 0; i < VSOCK_CONNS; i++)
		close(fds[i]);
	bed_done(&b);
}

/* One connection that the host closed and the guest never lets go of. */
static void linger(struct bed *b)
{
	struct packet p;
	int fd = vsock_connect_local(b->vs, 1026);

	assert_true(fd >= 0);
	bed_offer(b, 1);
	bed_expect(b, OP(REQUEST), &p);
	bed_send(b, OP(RESPONSE), 1026, p.h.src_port, 0, NULL, 0);
	close(fd);
	/* It may first look like the end of one direction only. */
	do {
		bed_offer(b, 1);
		bed_expect(b, OP(SHUTDOWN), &p);
	} while (p.h.flags != (SEND | RCV));
}

/* A guest that lets closed connections linger cannot use up the table. */
static void test_lingering_make_room(void **state)
{
	struct bed b;

	bed_init(&b, 0);
	for (unsigned i = 0; i < VSOCK_CONNS + 20; i++)
		linger(&b);
	assert_int_equal(vsock_stats(b.vs)->conns, VSOCK_CONNS);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_packets),
		cmocka_unit_test(test_wrong_addresses),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_operations_out_of_place),
		cmocka_unit_test(test_data_before_response),
		cmocka_unit_test(test_flood_of_strays),
		cmocka_unit_test(test_buffer_too_small),
		cmocka_unit_test(test_broken_tx_ring),
		cmocka_unit_test(test_before_the_driver),
		cmocka_unit_test(test_pause_keeps_connections),
		cmocka_unit_test(test_driver_reset),
		cmocka_unit_test(test_transport_reset),
		cmocka_unit_test(test_local_stream),
		cmocka_unit_test(test_opened),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_reset_while_held),
		cmocka_unit_test(test_pause_while_held),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_lingering_make_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
