/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/uart.h"

#include <string.h>

enum {
	REG_DATA = 0,
	REG_IER = 1,
	REG_IIR_FCR = 2,
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

#define IER_THRI 0x02u
#define IER_MASK 0x0fu
#define IIR_NONE 0x01u
#define IIR_THRI 0x02u
#define IIR_FIFO 0xc0u
#define FCR_ENABLE 0x01u
#define LCR_DLAB 0x80u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu
#define LSR_EMPTY 0x60u /* transmitter and its holding register */
#define MSR_READY 0xb0u /* DCD, DSR, CTS */

void uart_init(
	struct uart *u, struct conlog *log, void (*irq)(void *arg), void *arg)
{
	*u = (struct uart){.log = log, .irq = irq, .arg = arg};
	pthread_mutex_init(&u->lock, NULL);
}

static void raise_thre(struct uart *u)
{
	bool was = u->s.thre;

	u->s.thre = 1;
	if (!was && (u->s.ier & IER_THRI))
		u->irq(u->arg);
}

void uart_restore(struct uart *u, const struct uart_state *s)
{
	u->s = *s;
	u->s.ier &= IER_MASK;
	u->s.mcr &= MCR_MASK;
	/* The edge that told of it may have been lost; one more is harmless. */
	if (u->s.thre && (u->s.ier & IER_THRI))
		u->irq(u->arg);
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t fifo = u->s.fcr & FCR_ENABLE ? IIR_FIFO : 0;

	if (!u->s.thre || !(u->s.ier & IER_THRI))
		return fifo | IIR_NONE;
	u->s.thre = 0; /* reading it acknowledges it */
	return fifo | IIR_THRI;
}

/* In loop-back the modem outputs are wired to the inputs. */
static uint8_t read_msr(const struct uart *u)
{
	uint8_t m = u->s.mcr;

	if (!(m & MCR_LOOP))
		return MSR_READY;
	return (uint8_t)((m & 1) << 5 | (m & 2) << 3 | (m & 4) << 4 |
		(m & 8) << 4);
}

static uint8_t read_reg(struct uart *u, uint64_t reg)
{
	bool dlab = u->s.lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? u->s.dll : 0;
	case REG_IER:
		return dlab ? u->s.dlm : u->s.ier;
	case REG_IIR_FCR:
		return read_iir(u);
	case REG_LCR:
		return u->s.lcr;
	case REG_MCR:
		return u->s.mcr;
	case REG_LSR:
		return LSR_EMPTY;
	case REG_MSR:
		return read_msr(u);
	default:
		return u->s.scr;
	}
}

static void write_ier(struct uart *u, uint8_t v)
{
	bool enabled = (v & ~u->s.ier & IER_THRI) != 0;

	u->s.ier = v & IER_MASK;
	if (enabled) {
		u->s.thre = 0;
		raise_thre(u); /* the transmitter is always empty */
	}
}

static void transmit(struct uart *u, uint8_t v)
{
	if (!(u->s.mcr & MCR_LOOP))
		conlog_put(u->log, &v, 1);
	raise_thre(u);
}

static void write_reg(struct uart *u, uint64_t reg, uint8_t v)
{
	bool dlab = u->s.lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			u->s.dll = v;
		else
			transmit(u, v);
		break;
	case REG_IER:
		if (dlab)
			u->s.dlm = v;
		else
			write_ier(u, v);
		break;
	case REG_IIR_FCR:
		u->s.fcr = v;
		break;
	case REG_LCR:
		u->s.lcr = v;
		break;
	case REG_MCR:
		u->s.mcr = v & MCR_MASK;
		break;
	case REG_SCR:
		u->s.scr = v;
		break;
	default:
		break;
	}
}

static void uart_read(void *dev, uint64_t off, uint8_t *data, unsigned len)
{
	struct uart *u = dev;

	memset(data, 0, len);
	pthread_mutex_lock(&u->lock);
	data[0] = read_reg(u, off);
	pthread_mutex_unlock(&u->lock);
}

static void uart_write(
	void *dev, uint64_t off, const uint8_t *data, unsigned len)
{
	struct uart *u = dev;

	pthread_mutex_lock(&u->lock);
	write_reg(u, off, data[0]);
	pthread_mutex_unlock(&u->lock);
}

const struct bus_ops uart_ops = {uart_read, uart_write};
