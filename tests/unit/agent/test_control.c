/* SPDX-License-Identifier: Apache-2.0 */
/* The control stream, its host's end in this process. */
#include "cm.h"

#include "agent/control.h"
#include "base/fd.h"
#include "wire/agent.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static struct loop loop;
static struct control control;
static int host = -1;
static struct buf got; /* what came from the guest */

static struct {
	int config_result;
	size_t config_len;
	unsigned int configs;
	uint64_t timeout_ms;
	uint64_t clock_ns;
	unsigned int pings;
	unsigned int greeted;
} seen;

static int on_config(void *arg, const void *p, size_t len, struct err *err)
{
	seen.configs++;
	seen.config_len = len;
	if (seen.config_result < 0)
		return err_set(err, -seen.config_result, "no such thing");
	return 0;
}

static void on_shutdown(void *arg, uint64_t timeout_ms)
{
	seen.timeout_ms = timeout_ms;
}

static void on_clock(void *arg, uint64_t realtime_ns)
{
	seen.clock_ns = realtime_ns;
}

static void on_ping(void *arg)
{
	seen.pings++;
}

static void on_greeted(void *arg)
{
	seen.greeted++;
}

static const struct control_ops ops = {
	.greeted = on_greeted,
	.config = on_config,
	.shutdown = on_shutdown,
	.clock = on_clock,
	.ping = on_ping,
};

static void stop(struct loop *l, struct timer *t)
{
	loop_stop(l, 0);
}

/* Lets the guest's side work off what it was sent. */
static void turn(void)
{
	struct timer t = {0};

	loop_timer(&loop, &t, 5, stop);
	assert_int_equal(loop_run(&loop), 0);
}

static void dial_in(void)
{
	struct buf none;
	int sv[2];

	closep(&host);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	host = sv[0];
	buf_init(&none, STREAM_IN_MAX);
	control_resume(&control, sv[1], none);
	assert_int_equal(fd_nonblock(host, true), 0);
}

static int setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	buf_init(&got, 1 * MIB);
	if (loop_init(&loop) < 0)
		return -1;
	control_init(&control, &loop, &ops, NULL);
	dial_in();
	return 0;
}

static int teardown(void **state)
{
	control_done(&control);
	loop_done(&loop);
	buf_done(&got);
	closep(&host);
	host = -1;
	return 0;
}

static void say(uint8_t type, uint16_t tag, uint64_t v, bool wide)
{
	struct buf b, f;

	buf_init(&b, 64);
	buf_init(&f, 128);
	if (tag)
		assert_int_equal(wide ? tlv_put_u64(&b, tag, v)
				      : tlv_put_u32(&b, tag, (uint32_t)v),
			0);
	assert_int_equal(frame_put(&f, type, buf_head(&b), buf_len(&b)), 0);
	assert_int_equal(fd_write_all(host, buf_head(&f), buf_len(&f)), 0);
	buf_done(&b);
	buf_done(&f);
	turn();
}

/* The next frame of the guest must be this; its body stays in *ret. */
static void expect(uint8_t type, struct frame *ret)
{
	if (frame_peek(&got, ret) == 0)
		while (buf_read_fd(&got, host, 65536) > 0)
			;
	assert_int_equal(frame_peek(&got, ret), 1);
	assert_int_equal(ret->type, type);
	buf_consume(&got, FRAME_HEAD + ret->len);
}

static void expect_nothing(void)
{
	struct frame f;

	while (buf_read_fd(&got, host, 65536) > 0)
		;
	assert_int_equal(frame_peek(&got, &f), 0);
}

static bool find(const struct frame *f, uint16_t tag, struct tlv *ret)
{
	struct tlv_iter it = tlv_iter(f->p, f->len);

	while (tlv_next(&it, ret) == 1)
		if (ret->tag == tag)
			return true;
	return false;
}

static void is_text(const struct frame *f, uint16_t tag, const char *text)
{
	struct tlv t;

	assert_true(find(f, tag, &t));
	assert_int_equal(t.len, strlen(text));
	assert_memory_equal(t.p, text, t.len);
}

static void configure(void)
{
	struct frame f;

	expect(AF_HELLO, &f);
	say(AF_CONFIG, AT_PIDS_MAX, 5, false);
	expect(AF_READY, &f);
}

static void test_hello_config_ready(void **state)
{
	struct frame f;
	struct tlv t;
	uint32_t v;

	expect(AF_HELLO, &f);
	assert_true(find(&f, AT_VERSION, &t));
	assert_int_equal(tlv_u32(&t, &v), 0);
	assert_int_equal(v, WIRE_VERSION);
	assert_true(find(&f, AT_KERNEL, &t) && t.len > 0);
	assert_true(find(&f, AT_UPTIME_MS, &t) && t.len == 8);
	say(AF_CONFIG, AT_PIDS_MAX, 5, false);
	assert_int_equal(seen.config_len, TLV_HEAD + 4);
	expect(AF_READY, &f);
	/* Once is enough. */
	say(AF_CONFIG, AT_PIDS_MAX, 6, false);
	assert_int_equal(seen.configs, 1);
	expect_nothing();
}

static void test_config_fails(void **state)
{
	struct frame f;

	seen.config_result = -ENODEV;
	expect(AF_HELLO, &f);
	say(AF_CONFIG, 0, 0, false);
	expect(AF_FAILED, &f);
	is_text(&f, AT_TEXT, "no such thing");
	assert_false(control.configured);
}

static void test_requests(void **state)
{
	struct frame f;
	struct tlv t;
	uint64_t total = 0;
	uint32_t id = 0;

	configure();
	say(AF_PING, AT_ID, 77, false);
	assert_int_equal(seen.pings, 1);
	expect(AF_PONG, &f);
	assert_true(find(&f, AT_ID, &t) && tlv_u32(&t, &id) == 0);
	assert_int_equal(id, 77);
	assert_true(find(&f, AT_MEM_TOTAL, &t) && tlv_u64(&t, &total) == 0);
	assert_true(total > 0);
	say(AF_CLOCK, AT_REALTIME_NS, 12345678901234, true);
	assert_int_equal(seen.clock_ns, 12345678901234);
	say(AF_SHUTDOWN, AT_TIMEOUT_MS, 1500, true);
	assert_int_equal(seen.timeout_ms, 1500);
	say(AF_SHUTDOWN, AT_TIMEOUT_MS, 1600, false);
	assert_int_equal(seen.timeout_ms, 1600);
	say(AF_SHUTDOWN, 0, 0, false);
	assert_int_equal(seen.timeout_ms, 10000);
	say(222, 0, 0, false); /* of a newer host */
	expect_nothing();
	assert_true(control.open);
}

/* Events without a stream wait for the next one. */
static void test_events(void **state)
{
	struct frame f;

	control_event(&control, "early", "before the config");
	configure();
	expect(AF_EVENT, &f);
	is_text(&f, AT_EVENT, "early");
	is_text(&f, AT_TEXT, "before the config");
	closep(&host);
	host = -1;
	turn();
	assert_false(control.open);
	control_event(&control, "oom", "while nobody listened");
	for (int i = 0; i < 10000; i++) /* bounded */
		control_event(&control, "more", "and more");
	dial_in();
	expect(AF_EVENT, &f);
	is_text(&f, AT_EVENT, "oom");
}

/* After a restart of coved: the newer stream counts, nothing is repeated. */
static void test_resume(void **state)
{
	int old = -1;
	char c;

	configure();
	old = host;
	host = -1;
	dial_in();
	assert_int_equal(read(old, &c, 1), 0);
	close(old);
	expect_nothing();
	say(AF_PING, AT_ID, 1, false);
	expect(AF_PONG, &(struct frame){0});
}

static void test_garbage_drops_the_stream(void **state)
{
	configure();
	assert_int_equal(
		fd_write_all(host, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 0);
	turn();
	assert_false(control.open);
	dial_in();
	say(AF_PING, AT_ID, 1, false);
	expect(AF_PONG, &(struct frame){0});
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_hello_config_ready),
		T(test_config_fails),
		T(test_requests),
		T(test_events),
		T(test_resume),
		T(test_garbage_drops_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
