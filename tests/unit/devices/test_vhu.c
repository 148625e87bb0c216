/* SPDX-License-Identifier: Apache-2.0 */
/* A vhost-user front end, polite and otherwise, over a real socket. */
#include "cm.h"
#include "devices/vhu.h"
#include "driver.h"

#include "base/fd.h"
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define USER 0x7f0000000000ull /* where the front end has the memory */

struct bed {
	struct loop loop;
	struct task stop;
	struct vdev dev; /* counts what happens to it */
	unsigned kicks, resets, starts, stops;
	struct vhu vhu;
	bool gone;
	int front;
	int memfd;
	struct ram ram; /* our view of the memory */
	struct driver drv;
	int kick, call;
};

static struct bed *bed_of(struct vdev *d)
{
	return container_of(d, struct bed, dev);
}

static void config_read(struct vdev *d, uint32_t off, void *p, uint32_t len)
{
	static const char config[] = "config!";

	memcpy(p, config + off, len);
}

static void on_start(struct vdev *d, unsigned q)
{
	bed_of(d)->starts++;
}

static void on_stop(struct vdev *d, unsigned q)
{
	bed_of(d)->stops++;
}

/* Answers every request with nothing. */
static void on_kick(struct vdev *d, unsigned q)
{
	struct iovec iov[VQ_IOV_MAX];
	struct vq_chain c;

	bed_of(d)->kicks++;
	while (vq_pop(&d->q[q].vq, iov, VQ_IOV_MAX, &c) > 0)
		vq_push(&d->q[q].vq, &c, 0);
	if (vq_should_notify(&d->q[q].vq))
		vdev_notify(d, q);
}

static void on_reset(struct vdev *d)
{
	bed_of(d)->resets++;
}

static const struct vdev_ops ops = {
	.name = "test",
	.id = VIRTIO_ID_VSOCK,
	.queue_size = 256,
	.config_read = config_read,
	.queue_start = on_start,
	.queue_stop = on_stop,
	.kick = on_kick,
	.reset = on_reset,
};

static void on_gone(struct vhu *v)
{
	container_of(v, struct bed, vhu)->gone = true;
}

/* The same pages as the device maps, with the rings at the start. */
static void map_memory(struct bed *b)
{
	b->memfd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->memfd, DRIVER_RAM), 0);
	b->ram.mem = mmap(NULL, DRIVER_RAM, PROT_READ | PROT_WRITE, MAP_SHARED,
		b->memfd, 0);
	assert_ptr_not_equal(b->ram.mem, MAP_FAILED);
	b->ram.next = DRIVER_BASE;
	driver_init(&b->drv, &b->ram, 16);
}

static void bed_init(struct bed *b)
{
	int sv[2];

	memset(b, 0, sizeof(*b));
	b->dev = (struct vdev){.ops = &ops,
		.features = VDEV_FEATURES,
		.config_len = 7,
		.n_queues = 2};
	assert_int_equal(loop_init(&b->loop), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	b->front = sv[0];
	assert_int_equal(
		vhu_init(&b->vhu, &b->loop, sv[1], &b->dev, on_gone), 0);
	b->kick = eventfd(0, EFD_NONBLOCK);
	b->call = eventfd(0, EFD_NONBLOCK);
	map_memory(b);
}

static void bed_done(struct bed *b)
{
	vhu_done(&b->vhu);
	loop_done(&b->loop);
	munmap(b->ram.mem, DRIVER_RAM);
	close(b->memfd);
	close(b->front);
	close(b->kick);
	close(b->call);
}

static void on_stop_task(struct loop *l, struct task *t)
{
	loop_stop(l, 0);
}

static void run(struct bed *b)
{
	for (int i = 0; i < 16; i++) {
		loop_defer(&b->loop, &b->stop, on_stop_task);
		assert_int_equal(loop_run(&b->loop), 0);
	}
}

static void send_msg(struct bed *b, uint32_t request, uint32_t flags,
	const void *payload, uint32_t size, const int *fds, size_t n_fds)
{
	struct vhu_msg m = {.head = {request, VHU_VERSION | flags, size}};

	memcpy(&m.u64, payload, size);
	assert_int_equal(
		sock_send_fds(b->front, &m, sizeof(m.head) + size, fds, n_fds),
		0);
	run(b);
}

static void send_u64(struct bed *b, uint32_t request, uint64_t v)
{
	send_msg(b, request, 0, &v, sizeof(v), NULL, 0);
}

static void send_state(
	struct bed *b, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhu_vring_state s = {index, num};

	send_msg(b, request, 0, &s, sizeof(s), NULL, 0);
}

static void send_fd(struct bed *b, uint32_t request, uint64_t v, int fd)
{
	send_msg(b, request, 0, &v, sizeof(v), &fd, 1);
}

static void receive(struct bed *b, uint32_t request, struct vhu_msg *ret)
{
	ssize_t n = recv(b->front, ret, sizeof(*ret), MSG_DONTWAIT);

	assert_true(n >= (ssize_t)sizeof(ret->head));
	assert_int_equal(n, sizeof(ret->head) + ret->head.size);
	assert_int_equal(ret->head.request, request);
	assert_int_equal(ret->head.flags, VHU_VERSION | VHU_REPLY);
}

static void assert_no_reply(struct bed *b)
{
	char c;

	assert_int_equal(recv(b->front, &c, 1, MSG_DONTWAIT), -1);
}

static void send_memory(struct bed *b)
{
	const struct vhu_memory m = {
		.n = 1, .region = {{DRIVER_BASE, DRIVER_RAM, USER, 0}}};

	send_msg(b, VHU_SET_MEM_TABLE, 0, &m, 8 + 32, &b->memfd, 1);
}

static uint64_t user(uint64_t gpa)
{
	return gpa - DRIVER_BASE + USER;
}

static void send_addr(struct bed *b, uint32_t index)
{
	const struct vhu_vring_addr a = {.index = index,
		.desc = user(b->drv.cfg.desc),
		.avail = user(b->drv.cfg.avail),
		.used = user(b->drv.cfg.used)};

	send_msg(b, VHU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
}

static void set_up(struct bed *b, uint16_t base)
{
	send_u64(b, VHU_SET_FEATURES,
		1ull << VIRTIO_F_VERSION_1 | VHU_F_PROTOCOL);
	send_memory(b);
	send_state(b, VHU_SET_VRING_NUM, 1, 16);
	send_state(b, VHU_SET_VRING_BASE, 1, base);
	send_addr(b, 1);
	send_fd(b, VHU_SET_VRING_CALL, 1, b->call);
	send_fd(b, VHU_SET_VRING_KICK, 1, b->kick);
	send_state(b, VHU_SET_VRING_ENABLE, 1, 1);
}

static void test_negotiation(void **state)
{
	struct vhu_msg m;
	struct bed b;

	bed_init(&b);
	send_msg(&b, VHU_GET_FEATURES, 0, "", 0, NULL, 0);
	receive(&b, VHU_GET_FEATURES, &m);
	assert_int_equal(m.u64, VDEV_FEATURES | VHU_F_PROTOCOL);
	send_msg(&b, VHU_GET_PROTOCOL_FEATURES, 0, "", 0, NULL, 0);
	receive(&b, VHU_GET_PROTOCOL_FEATURES, &m);
	assert_true(m.u64 & VHU_P_CONFIG);
	send_u64(&b, VHU_SET_PROTOCOL_FEATURES, m.u64);
	send_msg(&b, VHU_GET_QUEUE_NUM, 0, "", 0, NULL, 0);
	receive(&b, VHU_GET_QUEUE_NUM, &m);
	assert_int_equal(m.u64, 2);
	send_msg(&b, VHU_SET_OWNER, 0, "", 0, NULL, 0);
	assert_no_reply(&b);
	assert_false(b.gone);
	bed_done(&b);
}

static void test_config_space(void **state)
{
	struct vhu_config c = {.offset = 2, .size = 4};
	struct vhu_msg m;
	struct bed b;

	bed_init(&b);
	send_msg(&b, VHU_GET_CONFIG, 0, &c, 12 + 4, NULL, 0);
	receive(&b, VHU_GET_CONFIG, &m);
	assert_int_equal(m.head.size, 16);
	assert_memory_equal(m.config.data, "nfig", 4);
	/* Outside: an answer of size 0 means no. */
	c.offset = 6;
	send_msg(&b, VHU_GET_CONFIG, 0, &c, 12 + 4, NULL, 0);
	receive(&b, VHU_GET_CONFIG, &m);
	assert_int_equal(m.head.size, 0);
	c.offset = UINT32_MAX;
	send_msg(&b, VHU_GET_CONFIG, 0, &c, 12 + 4, NULL, 0);
	receive(&b, VHU_GET_CONFIG, &m);
	assert_int_equal(m.head.size, 0);
	assert_false(b.gone);
	c.size = 257;
	send_msg(&b, VHU_GET_CONFIG, 0, &c, 12, NULL, 0);
	assert_true(b.gone);
	bed_done(&b);
}

static void test_ring_works(void **state)
{
	struct vhu_msg m;
	struct part p;
	uint32_t id, len;
	eventfd_t n;
	struct bed b;

	bed_init(&b);
	set_up(&b, 0);
	assert_int_equal(b.starts, 1);
	p = (struct part){ram_alloc(&b.ram, 8, 8), 8, true};
	driver_offer(&b.drv, driver_chain(&b.drv, &p, 1));
	assert_int_equal(eventfd_write(b.kick, 1), 0);
	run(&b);
	assert_int_equal(b.kicks, 1);
	assert_true(driver_used(&b.drv, &id, &len));
	assert_int_equal(eventfd_read(b.call, &n), 0);
	send_state(&b, VHU_GET_VRING_BASE, 1, 0);
	receive(&b, VHU_GET_VRING_BASE, &m);
	assert_int_equal(m.state.num, 1);
	assert_int_equal(b.stops, 1);
	bed_done(&b);
}

/* A kick that was rung before the ring ran still counts. */
static void test_early_kick(void **state)
{
	struct bed b;

	bed_init(&b);
	assert_int_equal(eventfd_write(b.kick, 1), 0);
	set_up(&b, 0);
	assert_int_equal(b.kicks, 1);
	bed_done(&b);
}

static uint32_t stop_ring(struct bed *b)
{
	struct vhu_msg m;

	send_state(b, VHU_GET_VRING_BASE, 1, 0);
	receive(b, VHU_GET_VRING_BASE, &m);
	return m.state.num;
}

static void use_ring(struct bed *b)
{
	const struct part p = {ram_alloc(&b->ram, 8, 8), 8, true};

	driver_offer(&b->drv, driver_chain(&b->drv, &p, 1));
	assert_int_equal(eventfd_write(b->kick, 1), 0);
	run(b);
}

/* Pause and go on: no reset. Begin at zero again: a new driver. */
static void test_pause_and_reset(void **state)
{
	struct bed b;

	bed_init(&b);
	set_up(&b, 0);
	/* Never used: zero is where it was. */
	assert_int_equal(stop_ring(&b), 0);
	set_up(&b, 0);
	assert_int_equal(b.resets, 0);
	use_ring(&b);
	assert_int_equal(stop_ring(&b), 1);
	set_up(&b, 1);
	assert_int_equal(b.resets, 0);
	assert_int_equal(b.dev.q[1].vq.last_avail, 1);
	assert_int_equal(stop_ring(&b), 1);
	set_up(&b, 0);
	assert_int_equal(b.resets, 1);
	assert_true(b.dev.q[1].vq.live);
	send_msg(&b, VHU_RESET_DEVICE, 0, "", 0, NULL, 0);
	assert_int_equal(b.resets, 2);
	assert_false(b.dev.q[1].vq.live);
	bed_done(&b);
}

/* The other ring of a new driver runs already: it is reset, and goes on. */
static void test_reset_with_a_live_ring(void **state)
{
	struct vhu_vring_addr a = {.index = 0};
	struct bed b;

	bed_init(&b);
	set_up(&b, 0);
	use_ring(&b);
	assert_int_equal(stop_ring(&b), 1);
	send_state(&b, VHU_SET_VRING_NUM, 0, 16);
	a.desc = user(b.drv.cfg.desc);
	a.avail = user(b.drv.cfg.avail);
	a.used = user(b.drv.cfg.used);
	send_msg(&b, VHU_SET_VRING_ADDR, 0, &a, sizeof(a), NULL, 0);
	send_fd(&b, VHU_SET_VRING_KICK, 0, b.kick);
	assert_true(b.dev.q[0].vq.live);
	send_state(&b, VHU_SET_VRING_BASE, 1, 0);
	assert_int_equal(b.resets, 1);
	assert_true(b.dev.q[0].vq.live);
	bed_done(&b);
}

static void test_enable(void **state)
{
	struct bed b;

	bed_init(&b);
	set_up(&b, 0);
	send_state(&b, VHU_SET_VRING_ENABLE, 1, 0);
	assert_false(b.dev.q[1].vq.live);
	send_state(&b, VHU_SET_VRING_ENABLE, 1, 1);
	assert_true(b.dev.q[1].vq.live);
	bed_done(&b);
}

/* The interrupt goes where the latest message says. */
static void test_call_is_replaced(void **state)
{
	int other = eventfd(0, EFD_NONBLOCK);
	eventfd_t n;
	struct bed b;

	bed_init(&b);
	set_up(&b, 0);
	send_fd(&b, VHU_SET_VRING_CALL, 1, other);
	vdev_notify(&b.dev, 1);
	assert_int_equal(eventfd_read(b.call, &n), -1);
	assert_int_equal(eventfd_read(other, &n), 0);
	send_u64(&b, VHU_SET_VRING_CALL, 1 | VHU_VRING_NOFD);
	vdev_notify(&b.dev, 1);
	assert_int_equal(eventfd_read(other, &n), -1);
	send_fd(&b, VHU_SET_VRING_ERR, 1, other);
	vdev_failed(&b.dev, 1);
	assert_int_equal(eventfd_read(other, &n), 0);
	close(other);
	bed_done(&b);
}

static void test_memory_moves_under_a_ring(void **state)
{
	struct part p;
	uint32_t id, len;
	struct bed b;

	bed_init(&b);
	set_up(&b, 0);
	send_memory(&b);
	assert_false(b.gone);
	assert_true(b.dev.q[1].vq.live);
	p = (struct part){ram_alloc(&b.ram, 8, 8), 8, true};
	driver_offer(&b.drv, driver_chain(&b.drv, &p, 1));
	assert_int_equal(eventfd_write(b.kick, 1), 0);
	run(&b);
	assert_true(driver_used(&b.drv, &id, &len));
	bed_done(&b);
}

/*
 * A table without the rings stops them; the refusal is acknowledged, so the
 * front end may go on, with the old table for one.
 */
static void test_memory_without_the_ring(void **state)
{
	const struct vhu_memory m = {
		.n = 1, .region = {{1ull << 40, DRIVER_RAM, USER, 0}}};
	struct vhu_msg reply;
	struct bed b;

	bed_init(&b);
	send_u64(&b, VHU_SET_PROTOCOL_FEATURES, VHU_P_REPLY_ACK);
	set_up(&b, 0);
	send_msg(
		&b, VHU_SET_MEM_TABLE, VHU_NEED_REPLY, &m, 8 + 32, &b.memfd, 1);
	receive(&b, VHU_SET_MEM_TABLE, &reply);
	assert_int_equal(reply.u64, 1);
	assert_false(b.dev.q[1].vq.live);
	send_memory(&b);
	send_state(&b, VHU_SET_VRING_ENABLE, 1, 1);
	assert_false(b.gone);
	assert_true(b.dev.q[1].vq.live);
	use_ring(&b);
	assert_int_equal(b.kicks, 1);
	bed_done(&b);
}

/* A doorbell that cannot be watched starts nothing either. */
static void test_bad_doorbell(void **state)
{
	const uint64_t ring = 1;
	struct vhu_msg reply;
	struct bed b;

	bed_init(&b);
	send_u64(&b, VHU_SET_PROTOCOL_FEATURES, VHU_P_REPLY_ACK);
	set_up(&b, 0);
	send_msg(&b, VHU_SET_VRING_KICK, VHU_NEED_REPLY, &ring, 8, &b.memfd, 1);
	receive(&b, VHU_SET_VRING_KICK, &reply);
	assert_int_equal(reply.u64, 1);
	assert_false(b.dev.q[1].vq.live);
	send_fd(&b, VHU_SET_VRING_KICK, 1, b.kick);
	assert_true(b.dev.q[1].vq.live);
	bed_done(&b);
}

static void test_acknowledged(void **state)
{
	struct vhu_vring_state s = {1, 16};
	struct vhu_msg m;
	struct bed b;

	bed_init(&b);
	send_u64(&b, VHU_SET_PROTOCOL_FEATURES, VHU_P_REPLY_ACK);
	send_msg(&b, VHU_SET_VRING_NUM, VHU_NEED_REPLY, &s, 8, NULL, 0);
	receive(&b, VHU_SET_VRING_NUM, &m);
	assert_int_equal(m.u64, 0);
	s.num = 0;
	send_msg(&b, VHU_SET_VRING_NUM, VHU_NEED_REPLY, &s, 8, NULL, 0);
	receive(&b, VHU_SET_VRING_NUM, &m);
	assert_int_equal(m.u64, 1);
	assert_false(b.gone);
	bed_done(&b);
}

static void test_message_in_pieces(void **state)
{
	struct vhu_msg m = {.head = {VHU_GET_FEATURES, VHU_VERSION, 0}};
	struct bed b;

	bed_init(&b);
	for (size_t i = 0; i < sizeof(m.head); i++) {
		assert_int_equal(write(b.front, (char *)&m + i, 1), 1);
		run(&b);
	}
	receive(&b, VHU_GET_FEATURES, &m);
	bed_done(&b);
}

static void test_front_end_leaves(void **state)
{
	struct bed b;

	bed_init(&b);
	shutdown(b.front, SHUT_RDWR);
	run(&b);
	assert_true(b.gone);
	bed_done(&b);
}

/* Each ends the connection. */
static void bad_message(struct bed *b, int i)
{
	struct vhu_memory mem = {
		.n = 1, .region = {{DRIVER_BASE, DRIVER_RAM, USER, 0}}};
	struct vhu_msg m = {.head = {1, VHU_VERSION, 0}};
	int two[] = {b->memfd, b->memfd};

	switch (i) {
	case 0: /* unknown request */
		send_msg(b, 12345, 0, "", 0, NULL, 0);
		break;
	case 1: /* wrong version */
		m.head.flags = 2;
		assert_int_equal(write(b->front, &m, 12), 12);
		break;
	case 2: /* a reply nobody asked for */
		send_msg(b, VHU_GET_FEATURES, VHU_REPLY, "", 0, NULL, 0);
		break;
	case 3: /* larger than any message */
		m.head.size = 100000;
		assert_int_equal(write(b->front, &m, 12), 12);
		break;
	case 4: /* no descriptor */
		send_msg(b, VHU_SET_MEM_TABLE, 0, &mem, 40, NULL, 0);
		break;
	case 5: /* more descriptors than regions */
		send_msg(b, VHU_SET_MEM_TABLE, 0, &mem, 40, two, 2);
		break;
	case 6: /* nine regions */
		mem.n = 9;
		send_msg(b, VHU_SET_MEM_TABLE, 0, &mem, sizeof(mem), two, 1);
		break;
	case 7: /* regions that overlap */
		mem.n = 2;
		mem.region[1] = mem.region[0];
		send_msg(b, VHU_SET_MEM_TABLE, 0, &mem, 72, two, 2);
		break;
	case 8: /* beyond the file */
		mem.region[0].size = 2 * DRIVER_RAM;
		send_msg(b, VHU_SET_MEM_TABLE, 0, &mem, 40, two, 1);
		break;
	case 9: /* the table is cut off */
		send_msg(b, VHU_SET_MEM_TABLE, 0, &mem, 8, two, 1);
		break;
	case 10: /* not a ring */
		send_state(b, VHU_SET_VRING_NUM, 2, 16);
		break;
	case 11: /* polling */
		send_u64(b, VHU_SET_VRING_KICK, 1 | VHU_VRING_NOFD);
		break;
	case 12: /* a doorbell that epoll does not take */
		set_up(b, 0);
		send_fd(b, VHU_SET_VRING_KICK, 1, b->memfd);
		break;
	case 13:
		send_state(b, VHU_GET_VRING_BASE, 200, 0);
		break;
	case 14: /* not while it runs */
		set_up(b, 0);
		send_state(b, VHU_SET_VRING_NUM, 1, 8);
		break;
	case 15:
		set_up(b, 0);
		send_addr(b, 1);
		break;
	default:
		fail();
	}
	run(b);
}

/* What the driver wrote, nonsense: its ring never runs, all else does. */
static void test_guests_choice(void **state)
{
	struct vhu_vring_addr addr = {.index = 1, .desc = 1};
	struct bed b;

	for (int i = 0; i < 4; i++) {
		bed_init(&b);
		send_u64(&b, VHU_SET_FEATURES,
			i == 0 ? 1ull << 63 : 1ull << VIRTIO_F_VERSION_1);
		send_memory(&b);
		send_state(&b, VHU_SET_VRING_NUM, 1,
			i == 1           ? 1u << 20
				: i == 2 ? 15
					 : 16);
		if (i == 3)
			send_msg(&b, VHU_SET_VRING_ADDR, 0, &addr, sizeof(addr),
				NULL, 0);
		else
			send_addr(&b, 1);
		send_fd(&b, VHU_SET_VRING_KICK, 1, b.kick);
		send_state(&b, VHU_SET_VRING_ENABLE, 1, 1);
		assert_false(b.gone);
		assert_false(b.dev.q[1].vq.live);
		set_up(&b, 0); /* and a sane driver finds it as it was */
		assert_true(b.dev.q[1].vq.live);
		bed_done(&b);
	}
}

static void test_bad_messages(void **state)
{
	for (int i = 0; i < 16; i++) {
		struct bed b;

		bed_init(&b);
		bad_message(&b, i);
		if (!b.gone)
			fail_msg("message %d was taken", i);
		bed_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_config_space),
		cmocka_unit_test(test_ring_works),
		cmocka_unit_test(test_early_kick),
		cmocka_unit_test(test_pause_and_reset),
		cmocka_unit_test(test_reset_with_a_live_ring),
		cmocka_unit_test(test_enable),
		cmocka_unit_test(test_call_is_replaced),
		cmocka_unit_test(test_memory_moves_under_a_ring),
		cmocka_unit_test(test_memory_without_the_ring),
		cmocka_unit_test(test_bad_doorbell),
		cmocka_unit_test(test_acknowledged),
		cmocka_unit_test(test_message_in_pieces),
		cmocka_unit_test(test_front_end_leaves),
		cmocka_unit_test(test_guests_choice),
		cmocka_unit_test(test_bad_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
