/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts: from the serial port by the IOAPIC, from the local timer. */
#include "guest.h"

#define LAPIC 0xfee00000ull

void guest_main(void)
{
	irq_init();
	irq_route(4, 40);
	outb(UART + 1, 2);
	check(irq_wait(40, 0), "an empty transmitter interrupts");
	uint8_t first = inb(UART + 2) & 0x0f, second = inb(UART + 2) & 0x0f;
	check(first == 2, "and says so");
	check(second == 1, "once");
	uint32_t before = seen[40];
	outb(UART, '#');
	outb(UART, '\n');
	(void)inb(UART + 5); /* until then KVM keeps what was sent */
	check(irq_wait(40, before), "a byte sent interrupts again");
	outb(UART + 1, 0);
	write32(LAPIC + 0x3e0, 0xb);
	write32(LAPIC + 0x320, 41);
	write32(LAPIC + 0x380, 10000);
	check(irq_wait(41, 0), "the local timer fires");
}
