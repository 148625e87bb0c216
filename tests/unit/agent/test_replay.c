/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"

#include "agent/replay.h"
#include "wire/agent.h"
#include <stdlib.h>
#include <string.h>

/* A plain model: everything that was ever added, one byte of kind each. */
static uint8_t all[8 * MIB];
static uint8_t kind[8 * MIB];
static size_t n_all;

static void add(struct replay *r, uint8_t type, size_t len)
{
	static uint8_t next;

	for (size_t i = 0; i < len; i++) {
		all[n_all + i] = next++;
		kind[n_all + i] = type;
	}
	replay_add(r, type, all + n_all, len);
	n_all += len;
}

/* The frames hold exactly the newest `want` bytes, in order and kind. */
static void check(const struct replay *r, size_t want)
{
	size_t len, seen = 0, at = n_all - want;
	const uint8_t *p = replay_frames(r, &len);

	assert_int_equal(replay_bytes(r), want);
	while (len) {
		uint32_t n = get_le32(p);

		assert_true(len >= FRAME_HEAD + n && n);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(p[4], kind[at + seen + i]);
		assert_memory_equal(p + FRAME_HEAD, all + at + seen, n);
		seen += n;
		p += FRAME_HEAD + n;
		len -= FRAME_HEAD + n;
	}
	assert_int_equal(seen, want);
}

static int setup(void **state)
{
	n_all = 0;
	*state = replay_new();
	return 0;
}

static int teardown(void **state)
{
	replay_free(*state);
	return 0;
}

static void test_empty(void **state)
{
	check(*state, 0);
	add(*state, AF_STDOUT, 0);
	check(*state, 0);
}

static void test_few(void **state)
{
	add(*state, AF_STDOUT, 5);
	add(*state, AF_STDOUT, 7);
	add(*state, AF_STDERR, 1);
	add(*state, AF_STDOUT, 4000);
	check(*state, 4013);
}

static void test_exactly_full(void **state)
{
	for (int i = 0; i < 4; i++)
		add(*state, AF_STDOUT, FRAME_MAX);
	check(*state, AGENT_REPLAY);
	add(*state, AF_STDERR, 1);
	check(*state, AGENT_REPLAY);
	add(*state, AF_STDOUT, FRAME_MAX);
	check(*state, AGENT_REPLAY);
}

static void test_bytes_one_by_one(void **state)
{
	for (size_t i = 0; i < AGENT_REPLAY + 70000; i++)
		add(*state, AF_STDOUT, 1);
	check(*state, AGENT_REPLAY);
}

/* Heads take more than payload here: less is kept, never something wrong. */
static void test_alternating_kinds(void **state)
{
	for (size_t i = 0; i < 300000; i++)
		add(*state, i & 1 ? AF_STDERR : AF_STDOUT, 1);
	assert_in_range(replay_bytes(*state), AGENT_REPLAY / 16, AGENT_REPLAY);
	check(*state, replay_bytes(*state));
}

static void test_random_sizes(void **state)
{
	unsigned int seed = 7;

	while (n_all < 6 * MIB) {
		size_t len = (size_t)rand_r(&seed) %
			(rand_r(&seed) % 4 ? 300 : FRAME_MAX);

		add(*state, rand_r(&seed) % 3 ? AF_STDOUT : AF_STDERR, len);
	}
	check(*state, AGENT_REPLAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_few, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_exactly_full, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_bytes_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_alternating_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_random_sizes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
