/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "driver.h"
#include "virtio/vcon.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

struct bed {
	struct vdev_host host;
	struct loop loop;
	struct task stop;
	struct ram ram;
	struct driver q[2];
	struct vcon *c;
	int user; /* the other end of in and out */
	int mine;
	unsigned notified[2], failed;
};

static void on_notify(struct vdev_host *h, unsigned q)
{
	container_of(h, struct bed, host)->notified[q]++;
}

static void on_failed(struct vdev_host *h, unsigned q)
{
	container_of(h, struct bed, host)->failed++;
}

static void on_stop(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void run(struct bed *b)
{
	for (int i = 0; i < 20; i++) {
		loop_defer(&b->loop, &b->stop, on_stop);
		assert_int_equal(loop_run(&b->loop), 0);
	}
}

static void bed_init(struct bed *b)
{
	int sv[2];

	memset(b, 0, sizeof(*b));
	b->host = (struct vdev_host){on_notify, on_failed};
	ram_init(&b->ram);
	assert_int_equal(loop_init(&b->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	b->user = sv[0];
	b->mine = sv[1];
	assert_int_equal(vcon_new(&b->loop, b->mine, b->mine, &b->c), 0);
	vcon_dev(b->c)->host = &b->host;
	assert_int_equal(
		vdev_ack_features(vcon_dev(b->c), 1ull << VIRTIO_F_VERSION_1),
		0);
	for (unsigned i = 0; i < 2; i++) {
		driver_init(&b->q[i], &b->ram, 16);
		assert_int_equal(vdev_queue_start(vcon_dev(b->c), i, b->ram.gm,
					 &b->q[i].cfg, 0, -1),
			0);
	}
}

static void bed_done(struct bed *b)
{
	for (unsigned i = 0; i < 2; i++)
		vdev_queue_stop(vcon_dev(b->c), i);
	vcon_free(b->c);
	loop_done(&b->loop);
	close(b->user);
	close(b->mine);
	ram_done(&b->ram);
}

static uint64_t offer(struct bed *b, unsigned q, uint32_t len)
{
	uint64_t at = ram_alloc(&b->ram, len, 1);
	const struct part p = {at, len, q == VCON_Q_INPUT};

	driver_offer(&b->q[q], driver_chain(&b->q[q], &p, 1));
	return at;
}

static void test_output(void **state)
{
	uint32_t id, len;
	char got[16];
	struct bed b;

	bed_init(&b);
	memcpy(ram_at(&b.ram, offer(&b, VCON_Q_OUTPUT, 5)), "login", 5);
	memcpy(ram_at(&b.ram, offer(&b, VCON_Q_OUTPUT, 2)), ": ", 2);
	vdev_kick(vcon_dev(b.c), VCON_Q_OUTPUT);
	assert_int_equal(read(b.user, got, sizeof(got)), 7);
	assert_memory_equal(got, "login: ", 7);
	assert_true(driver_used(&b.q[1], &id, &len));
	assert_true(driver_used(&b.q[1], &id, &len));
	assert_int_equal(b.notified[VCON_Q_OUTPUT], 1);
	bed_done(&b);
}

static void test_input(void **state)
{
	uint32_t id, len;
	struct bed b;
	uint64_t at;

	bed_init(&b);
	assert_int_equal(write(b.user, "secret", 6), 6);
	run(&b);
	at = offer(&b, VCON_Q_INPUT, 4);
	vdev_kick(vcon_dev(b.c), VCON_Q_INPUT);
	run(&b);
	assert_true(driver_used(&b.q[0], &id, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(ram_at(&b.ram, at), "secr", 4);
	at = offer(&b, VCON_Q_INPUT, 4);
	vdev_kick(vcon_dev(b.c), VCON_Q_INPUT);
	run(&b);
	assert_true(driver_used(&b.q[0], &id, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(ram_at(&b.ram, at), "et", 2);
	bed_done(&b);
}

/* A reader that sleeps stops the guest in the middle of a buffer. */
static void test_slow_reader(void **state)
{
	static uint8_t got[65536];
	const uint32_t each = 200000;
	uint64_t total = 0, sum = 0;
	uint32_t id, len;
	struct bed b;
	ssize_t n;

	bed_init(&b);
	for (int i = 0; i < 5; i++)
		memset(ram_at(&b.ram, offer(&b, VCON_Q_OUTPUT, each)), 1 + i,
			each);
	vdev_kick(vcon_dev(b.c), VCON_Q_OUTPUT);
	run(&b);
	while ((n = recv(b.user, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			assert_int_equal(got[i], 1 + total / each);
			total++;
		}
		run(&b);
	}
	assert_int_equal(total, 5 * each);
	while (driver_used(&b.q[1], &id, &len))
		sum++;
	assert_int_equal(sum, 5);
	bed_done(&b);
}

static void test_reader_gone(void **state)
{
	uint32_t id, len;
	struct bed b;

	bed_init(&b);
	(void)signal(SIGPIPE, SIG_IGN);
	shutdown(b.user, SHUT_RDWR);
	offer(&b, VCON_Q_OUTPUT, 100);
	offer(&b, VCON_Q_INPUT, 100);
	vdev_kick(vcon_dev(b.c), VCON_Q_OUTPUT);
	vdev_kick(vcon_dev(b.c), VCON_Q_INPUT);
	run(&b);
	assert_true(driver_used(&b.q[1], &id, &len));
	assert_false(driver_used(&b.q[0], &id, &len));
	bed_done(&b);
}

static void test_broken(void **state)
{
	struct bed b;

	bed_init(&b);
	driver_offer(&b.q[1], 999);
	vdev_kick(vcon_dev(b.c), VCON_Q_OUTPUT);
	run(&b);
	assert_int_equal(b.failed, 1);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_reader_gone),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
