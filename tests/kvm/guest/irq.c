/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

#define LAPIC 0xfee00000ull
#define IOAPIC 0xfec00000ull

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t mid;
	uint32_t high, zero;
} __attribute__((packed));

volatile uint32_t seen[VECTORS];
static struct gate idt[VECTORS];

void on_irq(uint64_t vector);
extern char stubs[];

/* 32 stubs of 16 bytes for vectors 32 to 63. */
__asm__(".text\n"
	".balign 16\n"
	"stubs:\n"
	".set v, 32\n"
	".rept 32\n"
	"	.balign 16\n"
	"	push %rdi\n"
	"	mov $v, %edi\n"
	"	jmp common\n"
	"	.set v, v + 1\n"
	".endr\n"
	"common:\n"
	"	push %rax; push %rcx; push %rdx; push %rsi\n"
	"	push %r8; push %r9; push %r10; push %r11\n"
	"	call on_irq\n"
	"	pop %r11; pop %r10; pop %r9; pop %r8\n"
	"	pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
	"	pop %rdi\n"
	"	iretq\n");

void on_irq(uint64_t vector)
{
	seen[vector]++;
	write32(LAPIC + 0xb0, 0); /* end of interrupt */
}

void irq_init(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint64_t)idt};

	for (unsigned v = 32; v < VECTORS; v++) {
		uint64_t at = (uint64_t)stubs + (v - 32) * 16;
		idt[v].low = (uint16_t)at;
		idt[v].selector = 0x10;
		idt[v].type = 0x8e;
		idt[v].mid = (uint16_t)(at >> 16);
		idt[v].high = (uint32_t)(at >> 32);
	}
	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
	write32(LAPIC + 0xf0, 0x1ff); /* enable, spurious vector 255 */
	write32(LAPIC + 0x80, 0);     /* accept everything */
}

void irq_route(unsigned gsi, unsigned vector)
{
	uint32_t id = read32(LAPIC + 0x20) >> 24;

	write32(IOAPIC, 0x10 + 2 * gsi + 1);
	write32(IOAPIC + 0x10, id << 24);
	write32(IOAPIC, 0x10 + 2 * gsi);
	write32(IOAPIC + 0x10, vector); /* fixed, edge, active high */
}

bool irq_wait(unsigned vector, uint32_t before)
{
	/* Interrupts are open for one instruction: none is lost to a hlt. */
	uint64_t since = ticks();

	while (seen[vector] == before && ticks() - since < PATIENCE)
		__asm__ volatile("sti; nop; cli" : : : "memory");
	return seen[vector] != before;
}
