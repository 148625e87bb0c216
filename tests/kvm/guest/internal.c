/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instruction that KVM without hardware virtualization cannot emulate:
 * there the hypervisor gives up, elsewhere it just runs.
 */
#include "guest.h"

static uint64_t pair[2] __attribute__((aligned(16)));

void guest_main(void)
{
	puts("# about to exchange\n");
	__asm__ volatile("lock cmpxchg16b %0"
			 : "+m"(pair)
			 : "a"(0), "d"(0), "b"(1), "c"(2)
			 : "memory", "cc");
	check(pair[0] == 1, "exchanged");
}
