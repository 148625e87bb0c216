/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "vsock_bed.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define OP(x) VIRTIO_VSOCK_OP_##x
#define SEND VIRTIO_VSOCK_SHUTDOWN_SEND
#define RCV VIRTIO_VSOCK_SHUTDOWN_RCV

static void test_config(void **state)
{
	struct bed b;
	uint8_t cid[8];

	bed_init(&b, 0);
	assert_int_equal(vdev_config_read(vsock_dev(b.vs), 0, cid, 8), 0);
	assert_memory_equal(cid, "\3\0\0\0\0\0\0\0", 8);
	assert_int_equal(vdev_config_read(vsock_dev(b.vs), 4, cid, 5), -EINVAL);
	bed_done(&b);
}

static void test_host_connects(void **state)
{
	struct bed b;
	struct packet p;
	char got[16] = "";
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	assert_int_equal(vsock_stats(b.vs)->conns, 1);
	assert_int_equal(write(fd, "ping", 4), 4);
	bed_expect(&b, OP(RW), &p);
	assert_int_equal(p.h.len, 4);
	assert_memory_equal(p.data, "ping", 4);
	assert_int_equal(p.h.src_port, port);
	assert_int_equal(p.h.dst_port, 52);
	assert_true(p.h.buf_alloc >= 64u << 10);
	bed_send(&b, OP(RW), 52, port, 0, "pong!", 5);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 5);
	assert_memory_equal(got, "pong!", 5);
	assert_true(b.notified[VSOCK_Q_RX] > 0);
	close(fd);
	bed_done(&b);
}

/* The line may come in pieces, and bytes right behind it are not lost. */
static void test_handshake_in_pieces(void **state)
{
	struct bed b;
	struct packet p;
	char got[32];
	int fd;

	bed_init(&b, 16);
	fd = sock_connect_at(b.dir_fd, "vsock.sock");
	assert_int_equal(write(fd, "CONN", 4), 4);
	bed_expect_nothing(&b);
	assert_int_equal(write(fd, "ECT 7\nearly", 11), 11);
	bed_expect(&b, OP(REQUEST), &p);
	bed_expect_nothing(&b);
	bed_send(&b, OP(RESPONSE), 7, p.h.src_port, 0, NULL, 0);
	assert_true(bed_read(fd, got, sizeof(got)) > 3);
	bed_expect(&b, OP(RW), &p);
	assert_memory_equal(p.data, "early", 5);
	close(fd);
	bed_done(&b);
}

static void test_bad_handshakes(void **state)
{
	static const char *const bad[] = {
		"HELLO 5\n",
		"CONNECT \n",
		"CONNECT -1\n",
		"CONNECT 4294967296\n",
		"CONNECT 5 \n",
		"CONNECT 5x\n",
		"connect 5\n",
		"CONNECT 000000000000000000000000000000000000000000005\n",
	};
	struct bed b;
	char c;

	bed_init(&b, 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = sock_connect_at(b.dir_fd, "vsock.sock");
		ssize_t n;

		assert_true(write(fd, bad[i], strlen(bad[i])) > 0);
		bed_expect_nothing(&b);
		/* Closed; with bytes unread that is a reset on the other end */
		n = bed_read(fd, &c, 1);
		assert_true(n == 0 || n == -ECONNRESET);
		close(fd);
	}
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	bed_done(&b);
}

static void test_guest_refuses(void **state)
{
	struct bed b;
	struct packet p;
	char c;
	int fd;

	bed_init(&b, 16);
	fd = bed_dial(&b, 52);
	bed_expect(&b, OP(REQUEST), &p);
	bed_send(&b, OP(RST), 52, p.h.src_port, 0, NULL, 0);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	close(fd);
	bed_done(&b);
}

static void test_host_gives_up(void **state)
{
	struct bed b;
	struct packet p;

	bed_init(&b, 16);
	close(bed_dial(&b, 52));
	bed_expect(&b, OP(REQUEST), &p);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	bed_done(&b);
}

static void test_guest_dials(void **state)
{
	struct bed b;
	struct packet p;
	char got[8];
	int lfd, fd;

	bed_init(&b, 16);
	lfd = bed_listen(&b, 1024);
	bed_send(&b, OP(REQUEST), 900, 1024, 0, NULL, 0);
	bed_expect(&b, OP(RESPONSE), &p);
	assert_int_equal(p.h.src_port, 1024);
	assert_int_equal(p.h.dst_port, 900);
	fd = accept(lfd, NULL, NULL);
	bed_send(&b, OP(RW), 900, 1024, 0, "hello", 5);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 5);
	assert_int_equal(write(fd, "yes", 3), 3);
	bed_expect(&b, OP(RW), &p);
	assert_memory_equal(p.data, "yes", 3);
	/* A second one with the same ports is nonsense and ends the first. */
	bed_send(&b, OP(REQUEST), 900, 1024, 0, NULL, 0);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(bed_read(fd, got, 1), 0);
	close(fd);
	close(lfd);
	bed_done(&b);
}

static void test_nobody_listens(void **state)
{
	struct bed b;
	struct packet p;

	bed_init(&b, 16);
	bed_send(&b, OP(REQUEST), 900, 4711, 0, NULL, 0);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(p.h.src_port, 4711);
	assert_int_equal(p.h.dst_port, 900);
	bed_done(&b);
}

static void test_host_half_close(void **state)
{
	struct bed b;
	struct packet p;
	char got[8];
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	assert_int_equal(write(fd, "last", 4), 4);
	shutdown(fd, SHUT_WR);
	bed_expect(&b, OP(RW), &p);
	bed_expect(&b, OP(SHUTDOWN), &p);
	assert_int_equal(p.h.flags, SEND);
	/* The other direction goes on. */
	bed_send(&b, OP(RW), 52, port, 0, "answer", 6);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 6);
	/* The guest closes: it is told so with RST, the host sees the end. */
	bed_send(&b, OP(SHUTDOWN), 52, port, SEND | RCV, NULL, 0);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(bed_read(fd, got, 1), 0);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	close(fd);
	bed_done(&b);
}

static void test_host_close(void **state)
{
	struct bed b;
	struct packet p;
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	assert_int_equal(write(fd, "bye", 3), 3);
	close(fd);
	bed_expect(&b, OP(RW), &p);
	bed_expect(&b, OP(SHUTDOWN), &p);
	assert_int_equal(p.h.flags, SEND | RCV);
	/* What crosses it is dropped, and no reason for a reset. */
	bed_send(&b, OP(RW), 52, port, 0, "late", 4);
	bed_expect_nothing(&b);
	assert_int_equal(vsock_stats(b.vs)->conns, 1);
	bed_send(&b, OP(RST), 52, port, 0, NULL, 0);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	bed_expect_nothing(&b);
	bed_done(&b);
}

/* First one direction, later the rest: the guest hears of both. */
static void test_host_half_then_close(void **state)
{
	struct bed b;
	struct packet p;
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	shutdown(fd, SHUT_WR);
	bed_expect(&b, OP(SHUTDOWN), &p);
	assert_int_equal(p.h.flags, SEND);
	close(fd);
	bed_expect(&b, OP(SHUTDOWN), &p);
	assert_int_equal(p.h.flags, SEND | RCV);
	bed_done(&b);
}

static void test_guest_half_close(void **state)
{
	struct bed b;
	struct packet p;
	char got[8];
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	bed_send(&b, OP(RW), 52, port, 0, "data", 4);
	bed_send(&b, OP(SHUTDOWN), 52, port, SEND, NULL, 0);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 4);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 0);
	assert_int_equal(write(fd, "more", 4), 4);
	bed_expect(&b, OP(RW), &p);
	assert_memory_equal(p.data, "more", 4);
	/* Data after its own end is against the rules. */
	bed_send(&b, OP(RW), 52, port, 0, "x", 1);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(vsock_stats(b.vs)->violations, 1);
	close(fd);
	bed_done(&b);
}

static void test_guest_stops_receiving(void **state)
{
	struct bed b;
	char got[8];
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	bed_send(&b, OP(SHUTDOWN), 52, port, RCV, NULL, 0);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	bed_send(&b, OP(RW), 52, port, 0, "still", 5);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 5);
	close(fd);
	bed_done(&b);
}

/* The guest says how much it takes; more waits in the host's socket. */
static void test_credit_of_the_guest(void **state)
{
	struct bed b;
	struct packet p;
	struct virtio_vsock_hdr h = {.src_cid = 3,
		.dst_cid = 2,
		.src_port = 52,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = OP(CREDIT_UPDATE)};
	char data[1000];
	uint32_t port;
	int fd;

	bed_init(&b, 64);
	fd = bed_connect(&b, 52, &port);
	h.dst_port = port;
	h.buf_alloc = 600;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	memset(data, 'x', sizeof(data));
	assert_int_equal(write(fd, data, 1000), 1000);
	bed_expect(&b, OP(RW), &p);
	assert_int_equal(p.h.len, 600);
	bed_expect_nothing(&b);
	h.fwd_cnt = 100;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	bed_expect(&b, OP(RW), &p);
	assert_int_equal(p.h.len, 100);
	/* "I took more than you sent" earns nothing. */
	h.fwd_cnt = 5000;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	bed_expect_nothing(&b);
	h.fwd_cnt = 700;
	bed_send_raw(&b, &h, sizeof(h), NULL, 0);
	bed_expect(&b, OP(RW), &p);
	assert_int_equal(p.h.len, 300);
	close(fd);
	bed_done(&b);
}

static void test_credit_request(void **state)
{
	struct bed b;
	struct packet p;
	uint32_t port;
	int fd;

	bed_init(&b, 16);
	fd = bed_connect(&b, 52, &port);
	bed_send(&b, OP(RW), 52, port, 0, "12345", 5);
	bed_expect_nothing(&b);
	bed_send(&b, OP(CREDIT_REQUEST), 52, port, 0, NULL, 0);
	bed_expect(&b, OP(CREDIT_UPDATE), &p);
	assert_int_equal(p.h.fwd_cnt, 5);
	close(fd);
	bed_done(&b);
}

#define BLOCK 32768u

/* Byte i of the stream that the guest sends. */
static void fill_stream(uint8_t *p, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((at + i) * 31 >> 3);
}

/* Sends until the credit is used up; bytes sent. */
static uint64_t fill_up(
	struct bed *b, uint32_t port, uint32_t alloc, uint64_t *ret_fwd)
{
	static uint8_t block[BLOCK];
	uint64_t sent = 0, fwd = 0;
	struct packet p;

	while (sent - fwd + BLOCK <= alloc) {
		fill_stream(block, sent, BLOCK);
		bed_send(b, OP(RW), 52, port, 0, block, BLOCK);
		sent += BLOCK;
		while (bed_recv(b, &p)) {
			bed_offer(b, 1);
			if (p.h.op == OP(CREDIT_UPDATE))
				fwd = p.h.fwd_cnt;
		}
	}
	*ret_fwd = fwd;
	return sent;
}

/* Reads n bytes of the stream and checks each. */
static void drain(struct bed *b, int fd, uint64_t n)
{
	static uint8_t got[BLOCK], want[BLOCK];
	uint64_t at = 0;

	while (at < n) {
		ssize_t k = bed_read(fd, got, sizeof(got));

		if (k == -EAGAIN) {
			bed_run(b);
			k = bed_read(fd, got, sizeof(got));
		}
		assert_true(k > 0);
		fill_stream(want, at, (size_t)k);
		assert_memory_equal(got, want, (size_t)k);
		at += (uint64_t)k;
	}
}

static uint32_t learn_alloc(struct bed *b, uint32_t port)
{
	struct packet p;

	bed_send(b, OP(CREDIT_REQUEST), 52, port, 0, NULL, 0);
	bed_expect(b, OP(CREDIT_UPDATE), &p);
	return p.h.buf_alloc;
}

/* A reader that sleeps costs its own stream its credit, others nothing. */
static void test_slow_host_reader(void **state)
{
	struct bed b;
	struct packet p;
	char got[8];
	uint32_t slow_port, port;
	uint64_t sent, fwd;
	int slow, fd;

	bed_init(&b, 64);
	slow = bed_connect(&b, 52, &slow_port);
	sent = fill_up(&b, slow_port, learn_alloc(&b, slow_port), &fwd);
	assert_true(sent > fwd);
	fd = bed_connect(&b, 53, &port);
	bed_send(&b, OP(RW), 53, port, 0, "quick", 5);
	assert_int_equal(bed_read(fd, got, sizeof(got)), 5);
	drain(&b, slow, sent);
	bed_expect(&b, OP(CREDIT_UPDATE), &p);
	while (bed_recv(&b, &p))
		;
	assert_int_equal(p.h.fwd_cnt, sent);
	close(slow);
	close(fd);
	bed_done(&b);
}

static void test_credit_violation(void **state)
{
	static uint8_t block[BLOCK];
	struct bed b;
	struct packet p;
	uint32_t port, alloc;
	uint64_t fwd;
	int fd;

	bed_init(&b, 64);
	fd = bed_connect(&b, 52, &port);
	alloc = learn_alloc(&b, port);
	fill_up(&b, port, alloc, &fwd);
	/* Beyond what was granted; some of it still fits what the host took */
	for (uint32_t n = 0; n <= alloc; n += BLOCK)
		bed_send(&b, OP(RW), 52, port, 0, block, BLOCK);
	do
		assert_true(bed_recv(&b, &p));
	while (p.h.op == OP(CREDIT_UPDATE));
	assert_int_equal(p.h.op, OP(RST));
	assert_int_equal(vsock_stats(b.vs)->violations, 1);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	close(fd);
	bed_done(&b);
}

/* Closing after a write is no reason to lose it. */
static void test_guest_closes_before_host_reads(void **state)
{
	struct bed b;
	struct packet p;
	uint32_t port;
	uint64_t sent, fwd;
	char c;
	int fd;

	bed_init(&b, 64);
	fd = bed_connect(&b, 52, &port);
	sent = fill_up(&b, port, learn_alloc(&b, port), &fwd);
	bed_send(&b, OP(SHUTDOWN), 52, port, SEND | RCV, NULL, 0);
	bed_expect(&b, OP(RST), &p);
	assert_int_equal(vsock_stats(b.vs)->conns, 1);
	drain(&b, fd, sent);
	bed_run(&b);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	assert_int_equal(vsock_stats(b.vs)->conns, 0);
	close(fd);
	bed_done(&b);
}

static void test_half_close_waits_for_kept_bytes(void **state)
{
	struct bed b;
	uint32_t port;
	uint64_t sent, fwd;
	char c;
	int fd;

	bed_init(&b, 64);
	fd = bed_connect(&b, 52, &port);
	sent = fill_up(&b, port, learn_alloc(&b, port), &fwd);
	bed_send(&b, OP(SHUTDOWN), 52, port, SEND, NULL, 0);
	drain(&b, fd, sent);
	bed_run(&b);
	assert_int_equal(bed_read(fd, &c, 1), 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	bed_done(&b);
}

/* Large data to the guest comes whole, in order, from both at once. */
static void test_two_streams_take_turns(void **state)
{
	static uint8_t data[100000];
	struct bed b;
	struct packet p;
	uint32_t port[2], got[2] = {0, 0}, first_of_second = 0, n = 0;
	int fd[2];

	bed_init(&b, 32);
	fd[0] = bed_connect(&b, 52, &port[0]);
	fd[1] = bed_connect(&b, 53, &port[1]);
	fill_stream(data, 0, sizeof(data));
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			write(fd[i], data, sizeof(data)), sizeof(data));
	bed_run(&b);
	while (bed_recv(&b, &p)) {
		int i = p.h.dst_port == 53;

		assert_int_equal(p.h.op, OP(RW));
		assert_memory_equal(p.data, data + got[i], p.h.len);
		got[i] += p.h.len;
		n++;
		if (i && !first_of_second)
			first_of_second = n;
		bed_offer(&b, 1);
		bed_run(&b);
	}
	assert_int_equal(got[0], sizeof(data));
	assert_int_equal(got[1], sizeof(data));
	assert_true(first_of_second <= 4);
	close(fd[0]);
	close(fd[1]);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_host_connects),
		cmocka_unit_test(test_handshake_in_pieces),
		cmocka_unit_test(test_bad_handshakes),
		cmocka_unit_test(test_guest_refuses),
		cmocka_unit_test(test_host_gives_up),
		cmocka_unit_test(test_guest_dials),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_host_half_close),
		cmocka_unit_test(test_host_close),
		cmocka_unit_test(test_host_half_then_close),
		cmocka_unit_test(test_guest_half_close),
		cmocka_unit_test(test_guest_stops_receiving),
		cmocka_unit_test(test_credit_of_the_guest),
		cmocka_unit_test(test_credit_request),
		cmocka_unit_test(test_slow_host_reader),
		cmocka_unit_test(test_credit_violation),
		cmocka_unit_test(test_guest_closes_before_host_reads),
		cmocka_unit_test(test_half_close_waits_for_kept_bytes),
		cmocka_unit_test(test_two_streams_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
