/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel does that panics: it says so and resets the machine. */
#include "guest.h"

void guest_main(void)
{
	puts("Kernel panic - not syncing: a test of the monitor\n");
	outb(POWER + 2, 0x52);
	halt();
}
