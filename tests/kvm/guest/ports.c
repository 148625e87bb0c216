/* SPDX-License-Identifier: Apache-2.0 */
/* Port accesses: the serial port's registers, sizes, ports of nobody. */
#include "guest.h"

static void string_output(void)
{
	static const char text[] = "# a string instruction, one exit\n";
	const char *p = text;
	uint64_t n = sizeof(text) - 1;

	__asm__ volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(UART) : "memory");
	check(n == 0 && p == text + sizeof(text) - 1, "rep outsb finishes");
}

/* Output goes nowhere while these modes are on: check afterwards. */
static void loop_back(void)
{
	outb(UART + 4, 0x1a);
	uint8_t modem = inb(UART + 6) & 0xf0;
	outb(UART + 4, 0);
	check(modem == 0x90, "loop-back as the probe wants it");
}

static void divisor(void)
{
	outb(UART + 3, 0x80);
	outb(UART, 0x12);
	uint8_t low = inb(UART);
	outb(UART + 3, 0x03);
	check(low == 0x12, "the divisor latch is another register");
}

void guest_main(void)
{
	outb(UART + 7, 0x5a);
	check(inb(UART + 7) == 0x5a, "the scratch register keeps a byte");
	check((inb(UART + 5) & 0x60) == 0x60, "the transmitter is empty");
	loop_back();
	outb(UART + 2, 1);
	check((inb(UART + 2) & 0xc0) == 0xc0, "it says it has a FIFO");
	divisor();
	check(inb(0x70) == 0xff && inb(0x71) == 0xff, "no clock chip");
	check(inb(0x64) == 0xff, "no keyboard controller");
	outl(0xcf8, 0x80000000);
	outb(0xcfb, 1);
	check(inl(0xcf8) == 0x80000000, "a PCI address is kept");
	outl(0xcfc, 0);
	check(inl(0xcfc) == 0xffffffff, "and nothing is there");
	check(inl(POWER + 2) == 0xffffffff, "an access may not leave a range");
	check(inl(UART) != 0xffffffff, "a wide access inside one is answered");
	outl(POWER, 0xffffffff);
	outb(POWER, 1 << 5);
	outb(POWER + 2, 0);
	check(inb(POWER + 1) == 0, "only the agreed value ends the machine");
	string_output();
}
