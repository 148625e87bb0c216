/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

static unsigned n_checks;
static uint64_t seed = 88172645463325252ull;

/* The entry point: a stack, then C. */
__asm__(".section .text.start,\"ax\"\n"
	".globl _start\n"
	"_start:\n"
	"	lea stack_top(%rip), %rsp\n"
	"	call guest_entry\n"
	"	.section .bss\n"
	"	.balign 16\n"
	"	.skip 16384\n"
	"stack_top:\n"
	"	.text\n");

void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
void guest_entry(void);

void *memset(void *p, int c, size_t n)
{
	uint8_t *b = p;
	while (n--) {
		*b++ = (uint8_t)c;
		__asm__ volatile("" : : : "memory");
	}
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	uint8_t *b = to;
	const uint8_t *a = from;
	while (n--) {
		*b++ = *a++;
		__asm__ volatile("" : : : "memory");
	}
	return to;
}

/* As every driver does, it asks for the status: that brings them out. */
void puts(const char *s)
{
	while (*s)
		outb(UART, (uint8_t)*s++);
	(void)inb(UART + 5);
}

void put_hex(uint64_t v)
{
	int shift = 60;
	while (shift > 0 && !(v >> shift & 15))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		outb(UART, (uint8_t) "0123456789abcdef"[v >> shift & 15]);
}

static void put_dec(unsigned v)
{
	if (v >= 10)
		put_dec(v / 10);
	outb(UART, (uint8_t)('0' + v % 10));
}

void check(bool good, const char *name)
{
	puts(good ? "ok " : "not ok ");
	put_dec(++n_checks);
	puts(" - ");
	puts(name);
	puts("\n");
}

void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void done(void)
{
	puts("1..");
	put_dec(n_checks);
	puts("\n");
	outb(POWER, 5 << 2 | 1 << 5);
	halt();
}

uint32_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

void guest_entry(void)
{
	guest_main();
	done();
}
