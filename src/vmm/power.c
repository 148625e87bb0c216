/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/power.h"

#include <string.h>

#define SLP_EN (1u << 5)
#define SLP_TYP(v) ((v) >> 2 & 7u)

static void power_read(void *dev, uint64_t off, uint8_t *data, unsigned len)
{
	/* Nothing ever woke this machine up: WAK_STS stays clear. */
	memset(data, 0, len);
}

static void power_write(
	void *dev, uint64_t off, const uint8_t *data, unsigned len)
{
	const struct power *p = dev;

	if (len != 1)
		return;
	if (off == POWER_SLEEP_CONTROL && (data[0] & SLP_EN) &&
		SLP_TYP(data[0]) == POWER_OFF_TYPE)
		p->event(p->arg, POWER_EVENT_OFF);
	else if (off == POWER_RESET && data[0] == POWER_RESET_VALUE)
		p->event(p->arg, POWER_EVENT_RESET);
}

const struct bus_ops power_ops = {power_read, power_write};
