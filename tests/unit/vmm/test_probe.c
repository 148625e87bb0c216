/* SPDX-License-Identifier: Apache-2.0 */
/* The probe, on whatever stands for /dev/kvm here. */
#include "cm.h"
#include "vmm/probe.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static void test_no_device(void **state)
{
	struct probe_result r;

	probe_run("/nowhere/kvm", &r);
	assert_false(r.usable);
	assert_non_null(strstr(r.why, "cannot open /nowhere/kvm"));
}

static void test_no_kvm(void **state)
{
	struct probe_result r;

	probe_run("/dev/null", &r);
	assert_false(r.usable);
	assert_string_equal(r.why, "/dev/null is not KVM");
}

static uint64_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/*
 * Same answer each time, within the limit, and nothing is left behind. Time
 * that a host takes away counts as ours: that may happen to one run, not to
 * all of them.
 */
static void test_here(void **state)
{
	struct probe_result first, again;
	int before, after;
	uint64_t used;

	before = dup(0);
	close(before);
	probe_run("/dev/kvm", &first);
	assert_true(strlen(first.why) > 0);
	for (int i = 0; i < 20; i++) {
		used = cpu_ms();
		probe_run("/dev/kvm", &again);
		used = cpu_ms() - used;
		assert_int_equal(first.usable, again.usable);
		assert_string_equal(first.why, again.why);
		if (used < PROBE_TRIES * PROBE_CPU_MS + 60)
			break;
	}
	assert_true(used < PROBE_TRIES * PROBE_CPU_MS + 60);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
	print_message("# this host: %s\n", first.why);
}

static void test_usage(void **state)
{
	char json[] = "--json", more[] = "--more";
	char *one[] = {more}, *two[] = {json, more};

	assert_int_equal(probe_command(1, one), 2);
	assert_int_equal(probe_command(2, two), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_device),
		cmocka_unit_test(test_no_kvm),
		cmocka_unit_test(test_here),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
