/* SPDX-License-Identifier: Apache-2.0 */
/* A second processor: woken the way a kernel wakes it, counts, is seen. */
#include "guest.h"

#define LAPIC 0xfee00000ull
#define TRAMPOLINE 0x70000ull
#define COUNTER 0x70800ull

extern uint8_t code[], code_end[];
/* Real mode at 7000:0000: counts for ever. */
__asm__(".text\n"
	"code:\n"
	"	.code16\n"
	"	mov %cs, %ax\n"
	"	mov %ax, %ds\n"
	"1:	incl 0x800\n"
	"	jmp 1b\n"
	"	.code64\n"
	"code_end:\n");

static bool counts(uint64_t patience)
{
	uint32_t before = read32(COUNTER);
	uint64_t since = ticks();

	while (ticks() - since < patience) {
		if (read32(COUNTER) != before)
			return true;
		(void)inb(POWER);
	}
	return false;
}

void guest_main(void)
{
	for (uint8_t *p = code; p < code_end; p++)
		*(volatile uint8_t *)(TRAMPOLINE + (uint64_t)(p - code)) = *p;
	write32(LAPIC + 0xf0, 0x1ff);
	check(!counts(PATIENCE / 500), "the second processor sleeps at first");
	write32(LAPIC + 0x310, 1u << 24);
	write32(LAPIC + 0x300, 0x4500); /* INIT */
	write32(LAPIC + 0x310, 1u << 24);
	write32(LAPIC + 0x300, 0x4600 | (uint32_t)(TRAMPOLINE >> 12));
	check(counts(PATIENCE), "INIT and SIPI wake it");
}
