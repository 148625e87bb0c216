/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fs device with a file server of the test's own: it copies what it reads
 * to what it may write, and can be told to wait in the middle.
 */
#include "cm.h"
#include "driver.h"
#include "virtio/fs_dev.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>

#define WAIT_MS 20000

struct fs {
	atomic_bool slow;
	atomic_uint inside;
	atomic_uint resets;
	sem_t entered;
	sem_t go_on;
	bool worker_seen[FS_DEV_WORKERS];
};

size_t fs_request(struct fs *fs, unsigned worker, const struct iovec *in,
	size_t n_in, const struct iovec *out, size_t n_out)
{
	uint8_t b[256];
	size_t n;

	fs->inside++;
	fs->worker_seen[worker] = true;
	if (fs->slow) {
		sem_post(&fs->entered);
		sem_wait(&fs->go_on);
	}
	n = vq_iov_read(in, (unsigned)n_in, b, sizeof(b));
	n = vq_iov_write(out, (unsigned)n_out, b, n);
	fs->inside--;
	return n;
}

void fs_reset(struct fs *fs)
{
	assert_int_equal(fs->inside, 0);
	fs->resets++;
}

struct bed {
	struct vdev_host host;
	struct ram ram;
	struct driver q[2];
	struct fs fs;
	struct fs_dev *fd;
	int kick[2];
	int told; /* eventfd: one count an interrupt */
	int broke;
	uint64_t buf;
};

static void add_one(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

static void on_notify(struct vdev_host *h, unsigned q)
{
	add_one(container_of(h, struct bed, host)->told);
}

static void on_failed(struct vdev_host *h, unsigned q)
{
	add_one(container_of(h, struct bed, host)->broke);
}

static void wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	eventfd_t n;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(eventfd_read(fd, &n), 0);
}

static void start(struct bed *b, unsigned i)
{
	assert_int_equal(vdev_queue_start(fs_dev_vdev(b->fd), i, b->ram.gm,
				 &b->q[i].cfg, 0, b->kick[i]),
		0);
}

static void bed_init(struct bed *b)
{
	memset(b, 0, sizeof(*b));
	b->host = (struct vdev_host){on_notify, on_failed};
	ram_init(&b->ram);
	sem_init(&b->fs.entered, 0, 0);
	sem_init(&b->fs.go_on, 0, 0);
	b->told = eventfd(0, EFD_NONBLOCK);
	b->broke = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(fs_dev_new(&b->fs, "tag", 1, 2, &b->fd), 0);
	fs_dev_vdev(b->fd)->host = &b->host;
	assert_int_equal(vdev_ack_features(fs_dev_vdev(b->fd),
				 1ull << VIRTIO_F_VERSION_1),
		0);
	for (unsigned i = 0; i < 2; i++) {
		driver_init(&b->q[i], &b->ram, 16);
		b->kick[i] = eventfd(0, EFD_NONBLOCK);
		start(b, i);
	}
	b->buf = ram_alloc(&b->ram, 4096, 16);
}

static void bed_done(struct bed *b)
{
	for (unsigned i = 0; i < 2; i++) {
		vdev_queue_stop(fs_dev_vdev(b->fd), i);
		close(b->kick[i]);
	}
	fs_dev_free(b->fd);
	close(b->told);
	close(b->broke);
	ram_done(&b->ram);
}

/* Offers a request that says text, with room for the answer behind it. */
static void offer(struct bed *b, unsigned q, unsigned slot, const char *text)
{
	uint64_t at = b->buf + 128 * slot;
	uint32_t len = (uint32_t)strlen(text);
	const struct part p[] = {{at, len, false}, {at + 64, len, true}};

	memcpy(ram_at(&b->ram, at), text, len);
	driver_offer(&b->q[q], driver_chain(&b->q[q], p, 2));
}

static void expect_answer(struct bed *b, unsigned q, uint32_t want_len)
{
	uint32_t id, len;

	while (!driver_used(&b->q[q], &id, &len))
		wait_for(b->told);
	assert_int_equal(len, want_len);
}

static void test_config(void **state)
{
	struct bed b;
	uint8_t c[40];

	bed_init(&b);
	assert_int_equal(vdev_config_read(fs_dev_vdev(b.fd), 0, c, 40), 0);
	assert_memory_equal(c, "tag\0\0", 5);
	assert_memory_equal(c + 36, "\1\0\0\0", 4);
	assert_int_equal(
		vdev_config_read(fs_dev_vdev(b.fd), 36, c, 5), -EINVAL);
	bed_done(&b);
}

static void test_requests(void **state)
{
	struct bed b;

	bed_init(&b);
	for (unsigned i = 0; i < 200; i++) {
		unsigned q = i % 3 == 0;

		memset(ram_at(&b.ram, b.buf + 64), 0, 5);
		offer(&b, q, 0, "hello");
		add_one(b.kick[q]);
		expect_answer(&b, q, 5);
		assert_memory_equal(ram_at(&b.ram, b.buf + 64), "hello", 5);
	}
	bed_done(&b);
}

/* What was offered before the queue ran has no kick any more. */
static void test_offered_before_start(void **state)
{
	struct bed b;
	uint16_t at;

	bed_init(&b);
	at = vdev_queue_stop(fs_dev_vdev(b.fd), 1);
	offer(&b, 1, 0, "early");
	assert_int_equal(vdev_queue_start(fs_dev_vdev(b.fd), 1, b.ram.gm,
				 &b.q[1].cfg, at, b.kick[1]),
		0);
	expect_answer(&b, 1, 5);
	bed_done(&b);
}

/* A slow request holds up no other one. */
static void test_two_at_once(void **state)
{
	struct bed b;

	bed_init(&b);
	b.fs.slow = true;
	offer(&b, 1, 0, "slow");
	add_one(b.kick[1]);
	sem_wait(&b.fs.entered);
	b.fs.slow = false;
	offer(&b, 1, 1, "quick!");
	add_one(b.kick[1]);
	expect_answer(&b, 1, 6);
	assert_true(b.fs.worker_seen[0] && b.fs.worker_seen[1]);
	sem_post(&b.fs.go_on);
	expect_answer(&b, 1, 4);
	bed_done(&b);
}

/* One kick for two: the worker that sees more wakes a colleague. */
static void test_batch_is_shared(void **state)
{
	struct bed b;

	bed_init(&b);
	b.fs.slow = true;
	offer(&b, 1, 0, "one");
	offer(&b, 1, 1, "two");
	add_one(b.kick[1]);
	sem_wait(&b.fs.entered);
	sem_wait(&b.fs.entered);
	assert_int_equal(b.fs.inside, 2);
	sem_post(&b.fs.go_on);
	sem_post(&b.fs.go_on);
	expect_answer(&b, 1, 3);
	expect_answer(&b, 1, 3);
	bed_done(&b);
}

static void *stop_queue(void *arg)
{
	struct bed *b = arg;

	vdev_queue_stop(fs_dev_vdev(b->fd), 1);
	assert_int_equal(b->fs.inside, 0);
	add_one(b->broke);
	return NULL;
}

/* After stop nobody touches the guest's memory: so it waits. */
static void test_stop_waits(void **state)
{
	struct pollfd p;
	pthread_t t;
	struct bed b;

	bed_init(&b);
	p = (struct pollfd){.fd = b.broke, .events = POLLIN};
	b.fs.slow = true;
	offer(&b, 1, 0, "slow");
	add_one(b.kick[1]);
	sem_wait(&b.fs.entered);
	assert_int_equal(pthread_create(&t, NULL, stop_queue, &b), 0);
	assert_int_equal(poll(&p, 1, 50), 0);
	sem_post(&b.fs.go_on);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	pthread_join(t, NULL);
	bed_done(&b);
}

static void test_reset(void **state)
{
	struct bed b;

	bed_init(&b);
	vdev_reset(fs_dev_vdev(b.fd));
	assert_int_equal(b.fs.resets, 1);
	offer(&b, 1, 0, "x");
	add_one(b.kick[1]);
	start(&b, 1);
	expect_answer(&b, 1, 1);
	bed_done(&b);
}

static void test_broken_ring(void **state)
{
	struct bed b;

	bed_init(&b);
	driver_offer(&b.q[1], 4000);
	add_one(b.kick[1]);
	wait_for(b.broke);
	/* The other queue lives. */
	offer(&b, 0, 0, "ok");
	add_one(b.kick[0]);
	expect_answer(&b, 0, 2);
	bed_done(&b);
}

static void test_features(void **state)
{
	struct bed b;
	struct vdev *d;

	bed_init(&b);
	d = fs_dev_vdev(b.fd);
	assert_int_equal(vdev_ack_features(d, VDEV_FEATURES), -EINVAL);
	vdev_reset(d);
	assert_int_equal(vdev_ack_features(d, 0), -EINVAL);
	assert_int_equal(
		vdev_ack_features(d, VDEV_FEATURES | 1ull << 50), -EINVAL);
	assert_int_equal(vdev_ack_features(d, VDEV_FEATURES), 0);
	start(&b, 1);
	assert_true(d->q[1].vq.cfg.event_idx);
	assert_true(d->q[1].vq.cfg.indirect);
	bed_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_offered_before_start),
		cmocka_unit_test(test_two_at_once),
		cmocka_unit_test(test_batch_is_shared),
		cmocka_unit_test(test_stop_waits),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_broken_ring),
		cmocka_unit_test(test_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
