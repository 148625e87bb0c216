/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uart - as much of a 16550A as a Linux console needs: output, the probe's
 * loop-back test, and the transmitter interrupt that user-space writers wait
 * for. No input. Runs on vCPU threads under its own lock; what the guest
 * writes goes to the console log.
 */
#ifndef VMM_UART_H
#define VMM_UART_H

#include "vmm/bus.h"
#include "vmm/conlog.h"
#include <pthread.h>

#define UART_LEN 8u

/* Everything a snapshot needs. */
struct uart_state {
	uint8_t ier;
	uint8_t fcr;
	uint8_t lcr;
	uint8_t mcr;
	uint8_t scr;
	uint8_t dll;
	uint8_t dlm;
	uint8_t thre; /* transmitter interrupt pending */
};

struct uart {
	pthread_mutex_t lock;
	struct uart_state s;
	struct conlog *log;     /* used under the lock */
	void (*irq)(void *arg); /* raises an edge; under the lock */
	void *arg;
};

void uart_init(
	struct uart *u, struct conlog *log, void (*irq)(void *arg), void *arg);
/* The part of the state that can be trusted after a restore. */
void uart_restore(struct uart *u, const struct uart_state *s);

extern const struct bus_ops uart_ops;

#endif
