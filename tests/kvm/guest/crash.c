/* SPDX-License-Identifier: Apache-2.0 */
/* A triple fault: no interrupt table, then an invalid instruction. */
#include "guest.h"

void guest_main(void)
{
	puts("# about to fault\n");
	__asm__ volatile("ud2");
}
