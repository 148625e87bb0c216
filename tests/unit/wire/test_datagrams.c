/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "base/fd.h"
#include "wire/datagrams.h"
#include <errno.h>
#include <sys/socket.h>

struct got {
	size_t n, bytes;
	size_t len[8];
	uint8_t last;
};

static int give(void *arg, const uint8_t *p, size_t len)
{
	struct got *g = arg;

	g->len[g->n++] = len;
	g->bytes += len;
	if (len)
		g->last = p[len - 1];
	return 0;
}

/* What one side puts comes out of the other, whole and in order. */
static void test_round(void **state)
{
	static uint8_t big[60000];
	struct got g = {0};
	struct buf to, from;
	int sv[2];

	big[sizeof(big) - 1] = 7;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	buf_init(&to, 128u * 1024u);
	buf_init(&from, 128u * 1024u);
	datagrams_put(&to, big, 3);
	datagrams_put(&to, big, 0);
	datagrams_put(&to, big, sizeof(big));
	while (buf_len(&to)) {
		assert_int_equal(buf_send(&to, sv[0]), 0);
		assert_int_equal(datagrams_read(&from, sv[1], give, &g), 0);
	}
	while (g.n < 3)
		assert_int_equal(datagrams_read(&from, sv[1], give, &g), 0);
	assert_int_equal(g.len[0], 3);
	assert_int_equal(g.len[1], 0);
	assert_int_equal(g.len[2], sizeof(big));
	assert_int_equal(g.last, 7);
	assert_int_equal(datagrams_read(&from, sv[1], give, &g), 0);
	close(sv[0]);
	assert_int_equal(datagrams_read(&from, sv[1], give, &g), -EPIPE);
	assert_int_equal(g.n, 3);
	close(sv[1]);
	buf_done(&to);
	buf_done(&from);
}

/* All or nothing: half a datagram would put the stream out of step. */
static void test_full(void **state)
{
	const uint8_t p[100] = {0};
	struct buf to;

	buf_init(&to, 150);
	datagrams_put(&to, p, sizeof(p));
	assert_int_equal(buf_len(&to), 102);
	datagrams_put(&to, p, sizeof(p));
	assert_int_equal(buf_len(&to), 102);
	datagrams_put(&to, p, 46);
	assert_int_equal(buf_len(&to), 150);
	buf_done(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
