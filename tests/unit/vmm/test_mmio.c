/* SPDX-License-Identifier: Apache-2.0 */
/* The transport with a device that notes what is done to it. No KVM. */
#include "cm.h"
#include "vmm/mmio.h"
#include "wire/wire.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#define RAM_SIZE (64u << 10)

struct toy {
	struct vdev dev;
	unsigned starts, stops, resets, kicks;
	uint8_t config[16];
};

static struct toy *of(struct vdev *d)
{
	return container_of(d, struct toy, dev);
}
static void toy_start(struct vdev *d, unsigned q)
{
	of(d)->starts++;
}
static void toy_stop(struct vdev *d, unsigned q)
{
	of(d)->stops++;
}
static void toy_kick(struct vdev *d, unsigned q)
{
	of(d)->kicks++;
}
static void toy_reset(struct vdev *d)
{
	of(d)->resets++;
}
static void toy_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	memcpy(p, of(d)->config + off, len);
}
static void toy_write(struct vdev *d, uint32_t off, const void *p, uint32_t len)
{
	memcpy(of(d)->config + off, p, len);
}

static const struct vdev_ops toy_ops = {
	.name = "toy",
	.id = 42,
	.queue_size = 64,
	.config_read = toy_read,
	.config_write = toy_write,
	.queue_start = toy_start,
	.queue_stop = toy_stop,
	.kick = toy_kick,
	.reset = toy_reset,
};

struct bed {
	struct loop loop;
	struct calls calls;
	struct gmem *gm;
	struct bus bus;
	struct mmio_bank bank;
	struct toy toy;
	uint8_t *ram;
};

static struct bed *b;

static int set_up(void **state)
{
	b = xnew(struct bed);
	b->ram = xcalloc(1, RAM_SIZE);
	assert_int_equal(loop_init(&b->loop), 0);
	assert_int_equal(calls_init(&b->calls, &b->loop), 0);
	b->gm = gmem_new();
	assert_int_equal(gmem_add(b->gm, 0, RAM_SIZE, b->ram), 0);
	b->toy.dev = (struct vdev){.ops = &toy_ops,
		.features = VDEV_FEATURES | 1,
		.config_len = 16,
		.n_queues = 2};
	assert_int_equal(mmio_bank_init(&b->bank, &b->loop, &b->calls, NULL,
				 b->gm, NULL),
		0);
	assert_int_equal(mmio_add(&b->bank, &b->bus, &b->toy.dev, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	mmio_bank_done(&b->bank);
	calls_close(&b->calls, &b->loop);
	gmem_unref(b->gm);
	loop_done(&b->loop);
	free(b->ram);
	free(b);
	return 0;
}

static void out(uint32_t reg, uint32_t v)
{
	uint8_t data[4];

	put_le32(data, v);
	bus_write(&b->bus, GPA_VIRTIO + reg, data, 4);
}

static uint32_t in(uint32_t reg)
{
	uint8_t data[4];

	bus_read(&b->bus, GPA_VIRTIO + reg, data, 4);
	return get_le32(data);
}

static void negotiate(uint64_t features)
{
	out(VIRTIO_MMIO_STATUS, 0);
	out(VIRTIO_MMIO_STATUS, 1);
	out(VIRTIO_MMIO_STATUS, 3);
	out(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	out(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	out(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	out(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	out(VIRTIO_MMIO_STATUS, 11);
}

static void queue(uint32_t q, uint32_t at)
{
	out(VIRTIO_MMIO_QUEUE_SEL, q);
	out(VIRTIO_MMIO_QUEUE_NUM, 16);
	out(VIRTIO_MMIO_QUEUE_DESC_LOW, at);
	out(VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + 0x400);
	out(VIRTIO_MMIO_QUEUE_USED_LOW, at + 0x800);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
}

static void run(void)
{
	negotiate(b->toy.dev.features);
	queue(0, 0x1000);
	queue(1, 0x2000);
	out(VIRTIO_MMIO_STATUS, 15);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 15);
}

static void test_starts_and_resets(void **state)
{
	run();
	assert_int_equal(b->toy.starts, 2);
	assert_true(b->toy.kicks >= 2); /* what was offered before */
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	out(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(b->toy.stops, 2);
	assert_int_equal(b->toy.resets, 1);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(b->bank.dev[0].n_refused, 0);
	run();
	assert_int_equal(b->toy.starts, 4);
}

static void test_features_are_checked(void **state)
{
	negotiate(VDEV_FEATURES | 2); /* one nobody offered */
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 3);
	negotiate(1); /* not virtio 1 */
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 3);
	negotiate(VDEV_FEATURES);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 11);
	assert_int_equal(b->toy.dev.acked, VDEV_FEATURES);
}

static void test_states_are_kept(void **state)
{
	out(VIRTIO_MMIO_STATUS, 15);
	out(VIRTIO_MMIO_STATUS, 4);
	out(VIRTIO_MMIO_STATUS, 2);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	out(VIRTIO_MMIO_QUEUE_SEL, 0);
	out(VIRTIO_MMIO_QUEUE_NUM, 16);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(b->bank.dev[0].n_refused, 5);
	run();
	out(VIRTIO_MMIO_QUEUE_SEL, 1);
	out(VIRTIO_MMIO_QUEUE_READY, 0);
	out(VIRTIO_MMIO_QUEUE_NUM, 64);
	out(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x3000);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(b->toy.dev.q[1].vq.cfg.desc, 0x2000);
	assert_int_equal(b->toy.dev.q[1].vq.cfg.size, 16);
	assert_int_equal(b->bank.dev[0].n_refused, 8);
}

static void test_bad_queue_breaks_the_device_only(void **state)
{
	negotiate(VDEV_FEATURES);
	queue(0, 0x1000);
	queue(1, RAM_SIZE); /* outside */
	out(VIRTIO_MMIO_STATUS, 15);
	assert_true(in(VIRTIO_MMIO_STATUS)&64);
	assert_true(in(VIRTIO_MMIO_INTERRUPT_STATUS)&2);
	assert_false(b->toy.dev.q[0].vq.live);
	run();
	assert_true(b->toy.dev.q[0].vq.live);
}

static void test_config_space(void **state)
{
	uint8_t v = 0x5a;

	bus_write(&b->bus, GPA_VIRTIO + VIRTIO_MMIO_CONFIG + 3, &v, 1);
	assert_int_equal(b->toy.config[3], 0); /* no driver yet */
	negotiate(VDEV_FEATURES);
	bus_write(&b->bus, GPA_VIRTIO + VIRTIO_MMIO_CONFIG + 3, &v, 1);
	assert_int_equal(b->toy.config[3], 0x5a);
	assert_int_equal(in(VIRTIO_MMIO_CONFIG) >> 24, 0x5a);
	out(VIRTIO_MMIO_CONFIG + 14, 0xffffffff); /* across its end */
	assert_int_equal(b->toy.config[14], 0);
}

static void test_saved_and_restored(void **state)
{
	struct mmio_state s, copy;
	uint16_t *avail = (uint16_t *)(void *)(b->ram + 0x1400);

	run();
	b->toy.dev.q[0].vq.last_avail = 7;
	avail[1] = 7;
	mmio_save(&b->bank.dev[0], &s);
	assert_int_equal(b->toy.stops, 2);
	assert_int_equal(s.q[0].last_avail, 7);
	assert_int_equal(mmio_continue(&b->bank.dev[0]), 0);
	assert_int_equal(b->toy.dev.q[0].vq.last_avail, 7);
	/* Another machine, from the bytes alone. */
	out(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(mmio_restore(&b->bank.dev[0], &s), 0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 15);
	assert_true(b->toy.dev.q[1].vq.live);
	assert_int_equal(b->toy.dev.q[0].vq.last_avail, 7);
	/* States that no driver can reach. */
	out(VIRTIO_MMIO_STATUS, 0);
	copy = s;
	copy.status = 5;
	assert_int_equal(mmio_restore(&b->bank.dev[0], &copy), -EINVAL);
	copy = s;
	copy.driver_features = 2;
	assert_int_equal(mmio_restore(&b->bank.dev[0], &copy), -EINVAL);
	copy = s;
	copy.q[0].desc = RAM_SIZE;
	assert_int_equal(mmio_restore(&b->bank.dev[0], &copy), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_starts_and_resets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_features_are_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_states_are_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_bad_queue_breaks_the_device_only, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_config_space, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_saved_and_restored, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
