/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest - what a bare test guest stands on: 64-bit mode, the first 4 GiB
 * mapped one to one, interrupts off, no stack guard, general registers only
 * (the kernel may interpret every instruction). A guest prints TAP lines on
 * the serial port and ends by power-off.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART 0x3f8
#define POWER 0x600
#define VIRTIO 0xd0000000ull

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline uint32_t inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline void write32(uint64_t gpa, uint32_t v)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(v), "r"(gpa) : "memory");
}
static inline uint32_t read32(uint64_t gpa)
{
	uint32_t v;
	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(gpa) : "memory");
	return v;
}
static inline void barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static inline uint64_t ticks(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}
/* Some seconds on any machine: a loaded host is slow to answer. */
#define PATIENCE (10ull << 30)

/* guest.c */
void puts(const char *s);
void put_hex(uint64_t v);
/* "ok N - name" or "not ok N - name"; counts. */
void check(bool good, const char *name);
/* Prints the plan and powers off. */
_Noreturn void done(void);
_Noreturn void halt(void);
uint32_t rnd(void); /* the same sequence in every run */

/* Each guest's own; done() follows when it returns. */
void guest_main(void);

/* Interrupts: vectors 32.. count in seen[]; handler(v) may be set. */
#define VECTORS 64
extern volatile uint32_t seen[VECTORS];
void irq_init(void);                           /* IDT and local APIC */
void irq_route(unsigned gsi, unsigned vector); /* edge, to this CPU */
/* Waits, interrupts on, until seen[vector] != before; false after a while. */
bool irq_wait(unsigned vector, uint32_t before);

/* virtio.c: a driver of our own, one device at a time. */
enum {
	R_MAGIC = 0x00,
	R_VERSION = 0x04,
	R_DEVICE = 0x08,
	R_FEATURES = 0x10,
	R_FEATURES_SEL = 0x14,
	R_ACKED = 0x20,
	R_ACKED_SEL = 0x24,
	R_QUEUE_SEL = 0x30,
	R_QUEUE_MAX = 0x34,
	R_QUEUE_NUM = 0x38,
	R_QUEUE_READY = 0x44,
	R_NOTIFY = 0x50,
	R_ISR = 0x60,
	R_ACK = 0x64,
	R_STATUS = 0x70,
	R_DESC = 0x80,
	R_AVAIL = 0x90,
	R_USED = 0xa0,
	R_CONFIG = 0x100,
};
#define QSIZE 64
#define D_NEXT 1
#define D_WRITE 2
#define D_INDIRECT 4

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
struct queue {
	struct desc desc[QSIZE];
	struct {
		uint16_t flags, idx, ring[QSIZE], event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[QSIZE];
		uint16_t event;
	} used __attribute__((aligned(4)));
} __attribute__((aligned(4096)));

/* The register window of the first device of this kind, or 0. */
uint64_t find_device(uint32_t id);
/* Status up to and with FEATURES_OK, all offered features of the low word. */
void negotiate(uint64_t dev);
void queue_setup(uint64_t dev, unsigned index, struct queue *q);
/* negotiate + queues 0..n-1 + DRIVER_OK */
void start(uint64_t dev, struct queue *q, unsigned n);
void offer(uint64_t dev, unsigned index, struct queue *q, uint16_t head);
/* True until it was called for PATIENCE; *since is 0 at first. */
bool waiting(uint64_t *since);
/* Waits until the device has used n entries in all; false after a while. */
bool await_used(struct queue *q, uint16_t n);
void reset(uint64_t dev);

#endif
