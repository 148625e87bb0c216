/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "agent/packet.h"
#include <errno.h>
#include <string.h>

static uint8_t wire[PACKET_MAX], other[PACKET_MAX];

static struct packet v4(const char *payload)
{
	return (struct packet){
		.src = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 18, 0, 2},
		.dst = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 8, 8, 8, 8},
		.sport = 4000,
		.dport = 53,
		.payload = (const uint8_t *)payload,
		.len = strlen(payload)};
}

static struct packet v6(const char *payload)
{
	struct packet d = v4(payload);

	memset(d.src, 0, 16);
	memset(d.dst, 0, 16);
	d.src[0] = d.dst[0] = 0xfd;
	d.src[15] = 2;
	d.dst[15] = 99;
	return d;
}

static void same(const struct packet *a, const struct packet *b)
{
	assert_memory_equal(a->src, b->src, 16);
	assert_memory_equal(a->dst, b->dst, 16);
	assert_int_equal(a->sport, b->sport);
	assert_int_equal(a->dport, b->dport);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->payload, b->payload, b->len);
}

static void test_there_and_back(void **state)
{
	struct packet in[] = {v4("hello"), v6("hello"), v4(""), v6("odd")};
	struct packet out;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		n = packet_make(&in[i], wire);
		assert_int_equal(packet_parse(wire, n, &out), 0);
		same(&out, &in[i]);
		/* Bytes behind the packet are not of it. */
		assert_int_equal(packet_parse(wire, n + 40, &out), 0);
		same(&out, &in[i]);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(
				packet_parse(wire, cut, &out), -EBADMSG);
	}
}

/* RFC 1071: over header and sum together the result is zero. */
static uint16_t sum_of(const uint8_t *p, size_t n, uint32_t s)
{
	for (size_t i = 0; i < n; i++)
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void test_checksums(void **state)
{
	struct packet d = v4("payload");
	size_t n = packet_make(&d, wire);

	assert_int_equal(sum_of(wire, 20, 0), 0);
	/* Pseudo header: both addresses, protocol, length. */
	assert_int_equal(sum_of(wire + 12, n - 12, 17 + (uint32_t)(n - 20)), 0);
	d = v6("payload");
	n = packet_make(&d, wire);
	assert_int_equal(sum_of(wire + 8, n - 8, 17 + (uint32_t)(n - 40)), 0);
}

static void test_refused(void **state)
{
	struct packet d = v4("hello"), out;
	size_t n = packet_make(&d, wire);
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{0, 0x44}, {0, 0x4f}, {0, 0x55}, {2, 0xff}, {3, 19},
		{6, 0x20}, {7, 1}, {9, 6}, {9, 1}, {20 + 5, 7}, {20 + 5, 14}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(other, wire, n);
		other[bad[i].at] = bad[i].value;
		assert_int_equal(packet_parse(other, n, &out), -EBADMSG);
	}
	d.sport = 0;
	n = packet_make(&d, wire);
	assert_int_equal(packet_parse(wire, n, &out), -EBADMSG);
	/* IPv6 that writes an IPv4 address would be taken for IPv4. */
	d = v6("x");
	n = packet_make(&d, wire);
	memset(wire + 24, 0, 16);
	wire[34] = wire[35] = 0xff;
	assert_int_equal(packet_parse(wire, n, &out), -EBADMSG);
	d.len = PACKET_UDP_MAX;
	assert_int_equal(packet_make(&d, wire), 0);
}

static void test_unreachable(void **state)
{
	struct packet d = v4("question");
	size_t n = packet_make(&d, wire), m;

	m = packet_unreachable(wire, n, &d, other);
	assert_int_equal(m, 20 + 8 + n);
	assert_int_equal(other[9], 1);
	assert_memory_equal(other + 12, wire + 16, 4);
	assert_memory_equal(other + 16, wire + 12, 4);
	assert_int_equal(other[20], 3);
	assert_int_equal(sum_of(other + 20, m - 20, 0), 0);
	assert_memory_equal(other + 28, wire, n);
	d = v6("question");
	n = packet_make(&d, wire);
	m = packet_unreachable(wire, n, &d, other);
	assert_int_equal(other[6], 58);
	assert_int_equal(other[40], 1);
	assert_int_equal(sum_of(other + 8, m - 8, 58 + (uint32_t)(m - 40)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unreachable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
