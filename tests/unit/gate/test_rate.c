/* SPDX-License-Identifier: Apache-2.0 */
#include "cm.h"
#include "gate/rate.h"

/* Moves as much as it may for that long; the bytes. */
static uint64_t drive(struct rate *r, uint64_t from_ms, uint64_t to_ms)
{
	uint64_t moved = 0;

	for (uint64_t now = from_ms; now < to_ms; now++) {
		size_t n = rate_allow(r, 65536, now);

		rate_take(r, n);
		moved += n;
	}
	return moved;
}

static void test_unlimited(void **state)
{
	struct rate r;

	rate_init(&r, 0, 5);
	assert_int_equal(rate_allow(&r, 12345, 5), 12345);
	assert_int_equal(rate_wait_ms(&r, 5), 0);
}

static void test_holds_over_seconds(void **state)
{
	static const uint64_t rates[] = {2000, 65536, 1000000, 100000000};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t burst = MAX(rates[i] / 4, 64 * KIB);
		struct rate r;
		uint64_t n;

		rate_init(&r, rates[i], 1000);
		n = drive(&r, 1000, 11000);
		assert_true(n <= 10 * rates[i] + burst);
		if (rates[i] <= 60000000) /* else 64 KiB a ms is less */
			assert_true(n >= 9 * rates[i]);
	}
}

static void test_a_pause_gives_one_burst(void **state)
{
	struct rate r;

	rate_init(&r, 1000000, 0);
	(void)drive(&r, 0, 10);
	assert_int_equal(rate_allow(&r, SIZE_MAX, UINT64_MAX / 2), 250000);
}

static void test_wait_is_enough(void **state)
{
	struct rate r;
	uint64_t wait;

	rate_init(&r, 1000, 0);
	rate_take(&r, rate_allow(&r, SIZE_MAX, 0));
	wait = rate_wait_ms(&r, 0);
	assert_true(wait > 0);
	assert_true(rate_allow(&r, 1, wait) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_holds_over_seconds),
		cmocka_unit_test(test_a_pause_gives_one_burst),
		cmocka_unit_test(test_wait_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
