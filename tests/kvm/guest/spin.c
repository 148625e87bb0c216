/* SPDX-License-Identifier: Apache-2.0 */
/* Says that it runs and halts for ever: something to look at from outside. */
#include "guest.h"

void guest_main(void)
{
	puts("spinning\n");
	halt();
}
