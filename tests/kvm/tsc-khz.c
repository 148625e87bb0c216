/* SPDX-License-Identifier: Apache-2.0 */
/* Prints this host's TSC rate in kHz, measured against CLOCK_MONOTONIC. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * One sample brackets the TSC between two readings of the clock; a sample
 * that was interrupted has a wide bracket and is taken again.
 */
static void sample(uint64_t *ret_ns, uint64_t *ret_tsc)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 100; i++) {
		uint64_t a = now_ns(), tsc = __rdtsc(), b = now_ns();
		if (b - a >= best)
			continue;
		best = b - a;
		*ret_ns = a + best / 2;
		*ret_tsc = tsc;
	}
}

int main(void)
{
	struct timespec gap = {0, 50000000};
	uint64_t ns0, tsc0, ns1, tsc1;
	sample(&ns0, &tsc0);
	nanosleep(&gap, NULL);
	sample(&ns1, &tsc1);
	printf("%.0f\n", (double)(tsc1 - tsc0) * 1e6 / (double)(ns1 - ns0));
	return 0;
}
